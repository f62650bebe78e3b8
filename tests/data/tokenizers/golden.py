"""What the scripts of this folder share: how goldens are read, made and written."""

import json
from pathlib import Path

FOLDER = Path(__file__).parent


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def row(tokenizer, text):
    """`tokenizer` is one of transformers."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    decoded = tokenizer.backend_tokenizer.decode(ids, skip_special_tokens=False)
    return {"text": text, "ids": ids, "decoded": decoded,
            "with_special_tokens": tokenizer(text)["input_ids"]}


def texts_with_special_tokens(tokenizer):
    """Texts that begin with BOS or end with EOS, or hold them elsewhere."""
    bos, eos = tokenizer.bos_token or "", tokenizer.eos_token
    texts = [f"{bos}Hello world", f"{bos} Hello\n", f"{bos}{bos}twice", bos, f"Hello world{eos}",
             f"{bos}Hello world{eos}", f"Hello {eos}", f"{bos}{eos}", f"{eos}{bos}x",
             f"x{bos}y{eos}z", f" {bos}x"]
    return [text for text in dict.fromkeys(texts) if text]


def write_goldens(tokenizer, texts, directory):
    write(directory / "expected.json", [row(tokenizer, text) for text in texts])
    write(directory / "special_texts.json",
          [row(tokenizer, text) for text in texts_with_special_tokens(tokenizer)])
