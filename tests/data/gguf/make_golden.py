#!/usr/bin/env python3
"""Lists what llama.cpp's converter makes of test models (README.md).

Usage: make_golden.py VERNIER LLAMA_CPP [NAME...]
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import xxhash

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent / "models"

# Name: model, what `vernier convert` makes of it first (nothing: the model itself is converted).
GOLDEN = {
    "llama_nvfp4": ("tiny-llama", ["--weights", "nvfp4"]),
    "qwen3_nvfp4": ("tiny-qwen3", ["--weights", "nvfp4", "--input-scale", "0.5"]),
    "qwen3_moe_nvfp4": ("../gguf/qwen3_moe", ["--weights", "nvfp4", "--input-scale", "0.5"]),
    "mistral": ("mistral", None),
    "llama_bias": ("llama_bias", None),
    "llama_linear": ("llama_linear", None),
    "mixtral": ("mixtral", None),
    "qwen2": ("qwen2", None),
    "deepseek_v3": ("tiny-deepseek-v3", None),
    "deepseek_v3_fp8": ("deepseek_v3_fp8", None),
    "deepseek_v4": ("tiny-deepseek-v4", None),
}

# What the converter takes from its own files.
LEFT_OUT = {"tokenizer.chat_template"}

# Test models have no tokenizer: the converter writes none then only if it is told so.
CONVERT = """
import runpy, sys
sys.path[:0] = [{root!r}, {root!r} + "/gguf-py"]
import conversion
from conversion.base import TextModel
conversion.load_all_models()
def classes(base):
    for found in base.__subclasses__():
        yield found
        yield from classes(found)
for found in [TextModel, *classes(TextModel)]:
    found.set_vocab = lambda self: self._set_vocab_none()
sys.argv = ["convert_hf_to_gguf.py", *sys.argv[1:]]
runpy.run_path({root!r} + "/convert_hf_to_gguf.py", run_name="__main__")
"""


def short(value):
    if isinstance(value, list) and len(value) > 16:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return {"length": len(value), "xxh3_128": xxhash.xxh3_128_hexdigest(text.encode())}
    return value


def listing(path, root):
    sys.path.insert(0, root + "/gguf-py")
    import gguf

    reader = gguf.GGUFReader(path)
    tensors = {}
    for tensor in reader.tensors:
        shape = [int(size) for size in reversed(tensor.shape)]
        tensors[tensor.name] = [tensor.tensor_type.name, shape,
                                xxhash.xxh3_128_hexdigest(tensor.data.tobytes())]
    metadata = {name: short(field.contents()) for name, field in reader.fields.items()
                if not name.startswith("GGUF.") and name not in LEFT_OUT}
    return {"tensors": dict(sorted(tensors.items())), "metadata": dict(sorted(metadata.items()))}


def make(name, vernier, root):
    model, options = GOLDEN[name]
    with tempfile.TemporaryDirectory() as work:
        source = MODELS / model
        if options is not None:
            source = Path(work) / "quantised"
            subprocess.run([vernier, "convert", MODELS / model, source, *options],
                           check=True, stdout=subprocess.DEVNULL)
        out = Path(work) / "out.gguf"
        subprocess.run([sys.executable, "-c", CONVERT.format(root=root), source, "--outtype",
                        "bf16", "--outfile", out], check=True, stderr=subprocess.DEVNULL, cwd=root)
        made = listing(out, root)
    lines = ",\n".join(f"{json.dumps(key)}: {{\n" + ",\n".join(
        f"{json.dumps(inner)}: {json.dumps(value)}" for inner, value in part.items()) + "\n}"
        for key, part in made.items())
    (HERE / f"{name}.json").write_text("{\n" + lines + "\n}\n")
    print(name, len(made["tensors"]))


def main():
    vernier, root = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    for name in sys.argv[3:] or GOLDEN:
        make(name, vernier, root)


if __name__ == "__main__":
    main()
