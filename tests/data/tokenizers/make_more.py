"""Writes llama3_1, gemma3_5000_merges, gpt_oss_1000_merges, mistral_tekken_1000_merges and
qwen3_6_1000_merges with transformers 5.24.

Usage: make_more.py LLAMA3_1 GEMMA3 GPT_OSS TEKKEN QWEN3_6: folders of tokenizer.json and
tokenizer_config.json, then a tekken.json and a file of tiktoken's form (README.md says of which
packages).
"""

import base64
import itertools
import json
import sys
import tempfile
from pathlib import Path

import transformers
from transformers import AutoTokenizer
from transformers.convert_slow_tokenizer import TikTokenConverter
from transformers.integrations.mistral.tokenizer import MistralConverter
from transformers.models.qwen3_5 import Qwen3_5Tokenizer

from golden import FOLDER, read, write, write_goldens
from make_smollm2 import TEXTS

BYTES = 256
MERGES = 1000
GEMMA_MERGES = 5000
GEMMA_UNUSED = 3
FORMATS = [
    "\u0915\u094d\u0937\u093f \u0e17\u0e35\u0e48 a\u0301bc",
    "HTMLParser parseHTMLNow iPhone's DON'T we'LL",
    "<start_of_turn>user\nHi<end_of_turn>\n",
    "<table><tr>\t\t<td> x</td>", "a\t\t\tb\n\n\n\nc    d",
    "path/to//file.c/\n/", "\U0001f9ff\u2603 \u1e9e\u0130",
]


def texts():
    return TEXTS + FORMATS + [row["text"] for row in read(FOLDER / "qwen3" / "expected.json")]


def config_of(folder):
    """Without the added tokens, which tokenizer.json has, and templates."""
    config = read(folder / "tokenizer_config.json")
    return {key: value for key, value in config.items()
            if key not in ("added_tokens_decoder", "chat_template")}


def load(file, config):
    with tempfile.TemporaryDirectory() as directory:
        write(Path(directory) / "tokenizer.json", file)
        write(Path(directory) / "tokenizer_config.json", config)
        return AutoTokenizer.from_pretrained(directory)


def store(name, file, config):
    write(FOLDER / name / "tokenizer.json", file)
    write(FOLDER / name / "tokenizer_config.json", config)
    write_goldens(AutoTokenizer.from_pretrained(FOLDER / name), texts(), FOLDER / name)


def make_llama3_1(folder):
    """The vocabulary and merges are Llama 3's."""
    file = read(folder / "tokenizer.json")
    original = read(FOLDER / "llama3" / "tokenizer.json")
    tokenizer = load(file, config_of(folder))
    for key in ("vocab", "merges"):
        assert file["model"].pop(key) == original["model"][key]
    output = FOLDER / "llama3_1"
    write(output / "tokenizer.json", file)
    write(output / "tokenizer_config.json", config_of(folder))
    write_goldens(tokenizer, texts(), output)


def renumber(file, vocab, added):
    """Ids without gaps, in the order of the old ones."""
    ids = {old: new for new, old in enumerate(sorted(vocab.values()))}
    file["model"]["vocab"] = {token: ids[i] for token, i in vocab.items()}
    beyond = itertools.count(len(ids))
    file["added_tokens"] = [{**t, "id": ids[t["id"]] if t["id"] in ids else next(beyond)}
                            for t in added]
    template = file["post_processor"]["special_tokens"]
    for token in template.values():
        token["ids"] = [ids[i] for i in token["ids"]]
    return file


def make_gemma3(folder):
    """Three of its unused tokens stay; characters that no kept merge needs are left to bytes."""
    file = read(folder / "tokenizer.json")
    model = file["model"]
    added = [t for t in file["added_tokens"] if not (
        t["content"].startswith("<unused") and int(t["content"][7:-1]) >= GEMMA_UNUSED)]
    wanted = {t["content"] for t in added} | {f"<0x{byte:02X}>" for byte in range(BYTES)}
    wanted |= {chr(code) for code in range(BYTES)} | {"\u2581"}
    words = [m for m in model["merges"] if not set("".join(m)) <= set("\n\t\u2581")]
    spaces = [m for m in model["merges"] if set("".join(m)) <= set("\n\t\u2581")]
    model["merges"] = spaces + words[:GEMMA_MERGES - len(spaces)]
    for left, right in model["merges"]:
        wanted |= {left, right, left + right}
    vocab = {token: i for token, i in model["vocab"].items() if token in wanted}
    store("gemma3_5000_merges", renumber(file, vocab, added), config_of(folder))


def make_gpt_oss(folder):
    """Ids follow the merges, so that a prefix of the vocabulary has a prefix of the merges."""
    file = read(folder / "tokenizer.json")
    model = file["model"]
    size = BYTES + MERGES
    model["vocab"] = {token: i for token, i in model["vocab"].items() if i < size}
    model["merges"] = [(left, right) for left, right in model["merges"]
                       if {left, right, left + right} <= model["vocab"].keys()]
    file["added_tokens"] = [{**t, "id": size + i} for i, t in enumerate(file["added_tokens"])]
    store("gpt_oss_1000_merges", file, config_of(folder))


def save(name, tokenizer):
    """As transformers saves it, minified."""
    with tempfile.TemporaryDirectory() as directory:
        tokenizer.save_pretrained(directory)
        store(name, read(Path(directory) / "tokenizer.json"),
              read(Path(directory) / "tokenizer_config.json"))


def make_tekken(path):
    """A file of this age leaves its special tokens to the library; five are named here."""
    file = read(path)
    names = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]
    file["special_tokens"] = [{"rank": i, "token_str": name} for i, name in enumerate(names)]
    specials = file["config"]["default_num_special_tokens"] = 20
    file["config"]["default_vocab_size"] = specials + BYTES + MERGES
    file["vocab"] = file["vocab"][:BYTES + MERGES]
    with tempfile.TemporaryDirectory() as directory:
        cut = Path(directory) / "tekken.json"
        write(cut, file)
        backend = MistralConverter(vocab_file=str(cut)).converted()
    save("mistral_tekken_1000_merges", transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>"))


def make_qwen3_6(path):
    lines = path.read_text().splitlines()[:BYTES + MERGES]
    with tempfile.TemporaryDirectory() as directory:
        cut = Path(directory) / "qwen.tiktoken"
        cut.write_text("\n".join(lines))
        vocab, merges = TikTokenConverter().extract_vocab_merges_from_model(str(cut))
    tokenizer = Qwen3_5Tokenizer(vocab=vocab, merges=merges, eos_token="<|im_end|>")
    tokenizer.add_special_tokens({"extra_special_tokens": ["<|im_start|>", "<|vision_start|>"]})
    tokenizer.add_tokens(["<think>", "</think>"])
    save("qwen3_6_1000_merges", tokenizer)


def main():
    llama3_1, gemma3, gpt_oss, tekken, qwen3_6 = (Path(path) for path in sys.argv[1:])
    make_llama3_1(llama3_1)
    make_gemma3(gemma3)
    make_gpt_oss(gpt_oss)
    make_tekken(tekken)
    make_qwen3_6(qwen3_6)


if __name__ == "__main__":
    main()
