"""Has llama.cpp run what Vernier writes, and compares its logits with `vernier trace`.

Without more: converts NVFP4 outputs of a small model with llama.cpp's own converter. With --gguf,
--trace and --ids: compares a GGUF file, whoever made it, with the logits that `vernier trace --out`
wrote for the same token ids. llama.cpp's CPU kernels round activations to 8 bits (Q8_0), so that a
BF16 model, run beside, says what to expect. Prints a report in Markdown; exit code 1 where more
differs than LARGEST_KL. tools/engine_check.sh calls it.
"""

import argparse
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import llama_cpp
from agreement import agreement, perplexity
from safetensors.numpy import load_file

LARGEST_KL = 0.01
HERE = Path(__file__).resolve().parent
OUTPUTS = (
    ("bf16", ""),
    ("nvfp4", "modelopt"),
    ("nvfp4", "compressed-tensors"),
    ("nvfp4_a16", "modelopt"),
    ("nvfp4_a16", "compressed-tensors"),
)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--libllama", required=True, type=Path, help="the folder of libllama")
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--trace", type=Path)
    parser.add_argument("--ids", type=Path)
    parser.add_argument("--vernier", type=Path)
    parser.add_argument("--converter", type=Path, help="llama.cpp's source, with its converter")
    parser.add_argument("--example", type=Path, help="the repository's example model")
    parser.add_argument("--model", type=Path, help="a BF16 checkpoint instead of a random Llama")
    parser.add_argument("--ids-of-model", type=Path, help="its text")
    parser.add_argument("--work", type=Path)
    return parser.parse_args()


def convert(converter, checkpoint, gguf):
    done = subprocess.run([sys.executable, HERE / "llama_cpp_convert.py", converter, checkpoint,
                           "--outfile", gguf], capture_output=True, text=True)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise SystemExit(f"llama.cpp's converter refuses {checkpoint}: {lines[-1]}")


def made_outputs(given):
    """Name, GGUF file, trace and ids of each output."""
    from vernier import Vernier
    from workshop import Workshop

    workshop = Workshop(given.work, Vernier(given.vernier), given.example)
    source, ids = given.model or workshop.model("llama"), given.ids_of_model or workshop.text
    for number_format, dialect in OUTPUTS:
        checkpoint = source
        if dialect:
            checkpoint = workshop.output_of(source, number_format, dialect)
        gguf = given.work / f"{number_format}-{dialect}.gguf"
        trace = given.work / f"{number_format}-{dialect}.trace"
        convert(given.converter, checkpoint, gguf)
        workshop.vernier.trace(checkpoint, ids, trace)
        yield f"{source.name} {number_format} {dialect}".strip(), gguf, trace, ids


def main():
    given = arguments()
    llama_cpp.use_library(given.libllama)
    if given.gguf:
        outputs = [(given.gguf.name, given.gguf, given.trace, given.ids)]
    else:
        outputs = made_outputs(given)
    print(f"Version: {version_of(given.libllama)}.\n")
    print("| output | KL to `trace` | top-1 | perplexity | Vernier's | verdict |")
    print("|---|---|---|---|---|---|")
    wrong = checked = 0
    for name, gguf, trace, ids_file in outputs:
        ids = load_file(ids_file)["input_ids"]
        found = agreement(llama_cpp.Model(gguf).logits(ids), load_file(trace)["logits"], ids)
        is_wrong = not found["kl"] < LARGEST_KL
        wrong, checked = wrong + is_wrong, checked + 1
        verdict = "**differs**" if is_wrong else "agrees"
        print(f"| {name} | {found['kl']:.1e} | {found['top1']:.1%} | "
              f"{perplexity(found['nll_engine']):.4g} | {perplexity(found['nll_vernier']):.4g} | "
              f"{verdict} |", flush=True)
    print(f"\n{checked} checked, {wrong} differences")
    return 1 if wrong else 0


def version_of(library):
    name = next(library.glob("libllama.v*.so")).name
    return f"llama.cpp {name.removeprefix('libllama.').removesuffix('.so')}, " \
           f"declarations of llama-cpp-py-sync {version('llama-cpp-py-sync')}"


if __name__ == "__main__":
    sys.exit(main())
