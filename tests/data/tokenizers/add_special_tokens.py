"""Adds with_special_tokens to the rows of expected.json and writes special_texts.json.

Usage: add_special_tokens.py, once with each version of transformers that VERSIONS names.
"""

import transformers

from golden import FOLDER, read, texts_with_special_tokens, write, row

# transformers 5 ignores add_bos_token where there is a tokenizer.json and says nothing of BOS.
VERSIONS = {"deepseek_v3": "4.57.1", "sentencepiece_llama": "4.57.1",
            "sentencepiece_mistral": "4.57.1", "llama3": "5.24.0", "qwen3": "5.24.0",
            "smollm2_1000_merges": "5.24.0"}


def load(name):
    if name.startswith("sentencepiece"):  # their configuration names no class
        return transformers.LlamaTokenizerFast.from_pretrained(FOLDER / name)
    return transformers.AutoTokenizer.from_pretrained(FOLDER / name)


def main():
    for name, version in VERSIONS.items():
        if version != transformers.__version__:
            continue
        tokenizer = load(name)
        rows = read(FOLDER / name / "expected.json")
        for old in rows:
            new = row(tokenizer, old["text"])
            assert {key: new[key] for key in ("ids", "decoded")} == {
                key: old[key] for key in ("ids", "decoded")}, (name, old["text"])
            old["with_special_tokens"] = new["with_special_tokens"]
        write(FOLDER / name / "expected.json", rows)
        write(FOLDER / name / "special_texts.json",
              [row(tokenizer, text) for text in texts_with_special_tokens(tokenizer)])
        print(name, version)


if __name__ == "__main__":
    main()
