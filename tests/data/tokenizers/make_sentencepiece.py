"""Writes sentencepiece_llama and sentencepiece_mistral: small tokenizers in the form to which
transformers converts sentencepiece's BPE models, and what tokenizers 0.23 makes of texts.

Usage: make_sentencepiece.py TEXT_FILE OUTPUT_DIRECTORY
"""

import json
import sys
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

SPACE = "\u2581"
SPECIAL = ["<unk>", "<s>", "</s>"]
TEXTS = [
    "Hello world", " leading", "two  spaces", "three   and a tab\tand\nlines\n\n", "", " ", "   ",
    "caf\u00e9 na\u00efve \u00dcber", "\u4f60\u597d\uff0c\u4e16\u754c", "emoji \U0001f600\U0001f468\u200d\U0001f469", "<s>begin</s> end", "a<s> b",
    "</s>", "x\u2581y", "1234567890 3.14", "don't stop", "\u0000\u0001\u007f", "the the the the",
    "CREATE TABLE t (id INTEGER PRIMARY KEY);", "https://example.org/?q=1&r=%20",
]


def train(lines):
    """Merges within words, as sentencepiece makes them."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always")
    trainer = trainers.BpeTrainer(vocab_size=600, show_progress=False)
    tokenizer.train_from_iterator(lines, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    names = SPECIAL + [f"<0x{byte:02X}>" for byte in range(256)] + tokens
    return {name: i for i, name in enumerate(names)}, [tuple(merge) for merge in model["merges"]]


def build(vocab, merges, style):
    tokenizer = Tokenizer(models.BPE(
        vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if style == "llama":
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(
            replacement=SPACE, prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(),
        decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in SPECIAL])
    return tokenizer


def main():
    lines = Path(sys.argv[1]).read_text().splitlines()
    vocab, merges = train(json.loads(line)["text"] for line in lines)
    for style in ("llama", "mistral"):
        directory = Path(sys.argv[2]) / f"sentencepiece_{style}"
        directory.mkdir(parents=True, exist_ok=True)
        tokenizer = build(vocab, merges, style)
        (directory / "tokenizer.json").write_text(
            json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":")))
        (directory / "tokenizer_config.json").write_text(json.dumps(
            {"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": True}))
        rows = []
        for text in TEXTS:
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            rows.append({"text": text, "ids": ids,
                         "decoded": tokenizer.decode(ids, skip_special_tokens=False)})
        (directory / "expected.json").write_text(
            json.dumps(rows, ensure_ascii=False, separators=(",", ":")))


if __name__ == "__main__":
    main()
