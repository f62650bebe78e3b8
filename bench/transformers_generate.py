#!/usr/bin/env python3
"""Greedy text by `vernier generate` and by transformers, in alternating runs.

    bench/transformers_generate.py BUILD MODEL

BUILD: a build of Vernier. MODEL: a checkpoint with its tokenizer. Of each, whole seconds (loading included) and those
of the tokens behind the first; of transformers the fastest of two types. Needs torch and transformers.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--prompt", default="The vernier scale was invented in")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    return parser.parse_args()


def run_vernier(arguments, tokens):
    """Seconds of the whole command, and its ids."""
    command = [arguments.build / "tools/vernier", "generate", arguments.model, "--prompt", arguments.prompt, "--tokens",
               tokens, "--threads", arguments.threads, "--progress", "none", "--json"]
    start = time.perf_counter()
    done = subprocess.run([str(part) for part in command], check=True, capture_output=True)
    seconds = time.perf_counter() - start
    return seconds, json.loads(done.stdout)[0]["ids"]


# Prints seconds of importing and loading, of a first token, and of all tokens; and the ids.
PEER = """
import json, sys, time
start = time.perf_counter()
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
model, prompt, tokens, threads, dtype = sys.argv[1:]
torch.set_num_threads(int(threads))
loaded = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype)).eval()
inputs = AutoTokenizer.from_pretrained(model)(prompt, return_tensors="pt")
times = [time.perf_counter() - start]
with torch.inference_mode():
    for count in (1, int(tokens)):
        start = time.perf_counter()
        ids = loaded.generate(**inputs, do_sample=False, use_cache=True, max_new_tokens=count)[0]
        times.append(time.perf_counter() - start)
print(json.dumps([times, ids[inputs["input_ids"].shape[1]:].tolist()]))
"""


def run_peer(arguments, dtype):
    command = [sys.executable, "-c", PEER, arguments.model, arguments.prompt, arguments.tokens, arguments.threads, dtype]
    done = subprocess.run([str(part) for part in command], check=True, capture_output=True)
    return json.loads(done.stdout.splitlines()[-1])


def same_ids(ours, theirs):
    """How many of the first ids are the same."""
    return next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))


def main():
    arguments = parse_arguments()
    seconds = {}

    def keep(name, whole, behind_first):
        seconds.setdefault(name, []).append((whole, behind_first))
        print(f"{name}: {whole:.2f} s with loading, {behind_first:.2f} s behind the first token", flush=True)

    for _ in range(arguments.repeat):
        first, _ = run_vernier(arguments, 1)
        whole, ids = run_vernier(arguments, arguments.tokens)
        keep("vernier", whole, whole - first)
        for dtype in ("bfloat16", "float32"):
            (load, one, all_tokens), peer_ids = run_peer(arguments, dtype)
            keep(f"transformers {dtype}", load + all_tokens, all_tokens - one)
            print(f"  the first {same_ids(ids, peer_ids)} of {len(ids)} tokens are the same", flush=True)

    median = {name: [statistics.median(column) for column in zip(*runs)] for name, runs in seconds.items()}
    for i, what in enumerate(("with loading", "behind the first token")):
        fastest = min(values[i] for name, values in median.items() if name != "vernier")
        print(f"{what}: {median['vernier'][i]:.2f} s against {fastest:.2f} s, ratio {median['vernier'][i] / fastest:.2f}")


if __name__ == "__main__":
    main()
