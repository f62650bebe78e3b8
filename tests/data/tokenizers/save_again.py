"""Writes saved_again: the tokenizers of this folder as transformers 5.24 saves them, without
vocabulary and merges, which it leaves as they were, and what it makes of texts with them.

Usage: save_again.py
"""

import tempfile
from pathlib import Path

import transformers

from golden import FOLDER, read, write, write_goldens

NAMES = ("deepseek_v3", "llama3", "qwen3", "sentencepiece_llama", "sentencepiece_mistral",
         "smollm2_1000_merges", "gemma3_5000_merges")


def pairs(merges):
    return [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in merges]


def without_model(saved, original):
    """Fails unless what is left out is the same as data."""
    assert saved["model"].pop("vocab") == original["model"]["vocab"]
    assert pairs(saved["model"].pop("merges")) == pairs(original["model"]["merges"])
    return saved


def save(tokenizer, source, output, loader=transformers.AutoTokenizer):
    with tempfile.TemporaryDirectory() as directory:
        tokenizer.save_pretrained(directory)
        saved = read(Path(directory) / "tokenizer.json")
        write(output / "tokenizer.json", without_model(saved, read(source / "tokenizer.json")))
        write(output / "tokenizer_config.json", read(Path(directory) / "tokenizer_config.json"))
        again = loader.from_pretrained(directory)
    write_goldens(again, [row["text"] for row in read(source / "expected.json")], output)
    print(output.name, type(again).__name__)


def main():
    assert transformers.__version__ == "5.24.0"
    for name in NAMES:
        tokenizer = transformers.AutoTokenizer.from_pretrained(FOLDER / name)
        save(tokenizer, FOLDER / name, FOLDER / "saved_again" / name)
    # The class of Llama 2's, which writes another form. Loading it again, the class ignores the
    # pre-tokenizer of the file and `legacy`, which was not saved; so the file is read as it is.
    source = FOLDER / "sentencepiece_llama"
    tokenizer = transformers.LlamaTokenizer.from_pretrained(source, legacy=True, add_bos_token=True)
    save(tokenizer, source, FOLDER / "saved_again" / "llama_class",
         transformers.PreTrainedTokenizerFast)


if __name__ == "__main__":
    main()
