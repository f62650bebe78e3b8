"""Writes smollm2_1000_merges: the Hugging Face tokenizers library 0.23.

Usage: make_smollm2.py CHECKPOINT OUTPUT_DIRECTORY, where tools/smollm2.py made CHECKPOINT.
"""

import json
import shutil
import sys
from pathlib import Path

from tokenizers import Tokenizer

MERGES = 1000
DIRECTORY = Path(__file__).parent

TEXTS = [
    "In 1984, 12345 people paid $3.50\n\n for 7½ pies; x²=Ⅳ and ١٢٣",
    "def f(x):\n    return x  # 1\n\t\tpass\r\n",
    "3's 's 42'll -7e10 0x1F v2.0b3",
    # Bytes that the vocabulary lacks vanish, and what stood around them may merge.
    "a\x04b t\x16he th\x06e \U00040000.",
    # Control tokens inside a text.
    "<|im_start|>user\nHi 42<|im_end|>\n<|endoftext|> <repo_name>foo<file_sep>a.py\n",
    "<|im_start |> <|im_end|",
]


def dump(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def first_merges(file):
    """Tokens come in the order of the merges that make them, so a prefix is a whole tokenizer."""
    model = file["model"]
    last = model["merges"][MERGES - 1].replace(" ", "")
    size = model["vocab"][last] + 1
    model["merges"] = model["merges"][:MERGES]
    model["vocab"] = {token: i for token, i in model["vocab"].items() if i < size}
    return file


def main(checkpoint, output):
    output.mkdir(parents=True, exist_ok=True)
    file = json.loads((checkpoint / "tokenizer.json").read_text(encoding="utf-8"))
    dump(output / "tokenizer.json", first_merges(file))
    shutil.copy(checkpoint / "tokenizer_config.json", output)
    tokenizer = Tokenizer.from_file(str(output / "tokenizer.json"))
    shared = json.loads((DIRECTORY / "qwen3" / "expected.json").read_text(encoding="utf-8"))
    rows = []
    for text in TEXTS + [row["text"] for row in shared]:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        decoded = tokenizer.decode(ids, skip_special_tokens=False)
        rows.append({"text": text, "ids": ids, "decoded": decoded})
    dump(output / "expected.json", rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
