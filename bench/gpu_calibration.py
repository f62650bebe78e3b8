#!/usr/bin/env python3
"""Calibration of one DeepSeek-V4-Pro layer and of a 2.8 B Llama on a GPU, beside what the machine can do.

    bench/gpu_calibration.py BUILD WORK CONFIG [best]

BUILD: a build of Vernier against the PyTorch that this Python has (with CUDA). WORK: a folder with 45 GB of
room, where the models are made (and found again). CONFIG: config.json of a DeepSeek-V4-Pro. Prints, of one run:
seconds of the second of two layers, 384 MXFP4 experts over 128 x 512 tokens, with the source in the page cache
and from the disk (medians of three), against (a) PyTorch that brings the same experts to the device through
pinned memory, decodes, multiplies and observes them there, and (b) the disk's rate around the page cache; of a
Llama against transformers with a hook on every linear layer, its loading included; and of both what statistics
for a better choice of scales cost beside the largest magnitudes alone. With "best" something else: seconds of a
layer of 256 experts in BF16 (35 GB more) whose experts are solved (--effort best), against the largest magnitudes
alone, both from the disk. Needs root to empty the page cache.
"""

import json
import mmap
import os
import queue
import sqlite3
import statistics
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import torch

BUILD, WORK, CONFIG = (Path(a).resolve() for a in sys.argv[1:4])
ROOT = Path(__file__).resolve().parent.parent
SAMPLES, LENGTH, REPEATS = 128, 512, 3
DIRECT_BLOCK = 16 << 20


def shell(*command, **more):
    return subprocess.run([str(c) for c in command], check=True, **more)


def drop_page_cache():
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")


def read_all(folder):
    for shard in sorted(folder.glob("*.safetensors")):
        with open(shard, "rb", buffering=0) as file:
            while file.read(64 << 20):
                pass


def add_tokenizer(folder):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((ROOT / "examples/mini-deepseek-v4" / name).read_bytes())


def write_tokens():
    path = WORK / "ids.jsonl"
    generator = torch.Generator().manual_seed(1)
    rows = torch.randint(4096, (SAMPLES, LENGTH), generator=generator).tolist()
    path.write_text("".join(json.dumps({"input_ids": row}) + "\n" for row in rows))
    return path


def make_pro(name="pro", layers=2, experts=384, *more):
    folder = WORK / name
    if folder.exists():
        return folder
    config = json.loads(CONFIG.read_text())
    config["num_hash_layers"] = 0
    config["compress_ratios"][:2] = [4, 128]
    (WORK / "pro.json").write_text(json.dumps(config))
    shell(BUILD / "tools/synthesize", WORK / "pro.json", folder, "--layers", layers, "--experts", experts,
          "--shard-bytes", "5GB", *more, stdout=subprocess.DEVNULL)
    add_tokenizer(folder)
    return folder


def calibrate(recipe, source, tokens, *more):
    run = WORK / "run"
    shell("rm", "-rf", run, WORK / "out")
    start = time.time()
    shell(BUILD / "tools/vernier", "calibrate", recipe, "--source", source, "--data", tokens, "--samples", SAMPLES,
          "--sequence-length", LENGTH, "--device", "cuda:0", "--run-dir", run, "--output", WORK / "out",
          "--progress", "none", *more, stdout=subprocess.DEVNULL)
    wall = time.time() - start
    layers = [row[0] for row in sqlite3.connect(run / "vernier.sqlite").execute("SELECT seconds FROM layer")]
    return wall, layers


def direct_rate(folder, streams=4, seconds=4.0):
    """Bytes a second, read in 16 MiB blocks around the page cache, as Vernier reads."""
    shards = sorted(folder.glob("*.safetensors"))
    total, end = [0] * streams, time.time() + seconds

    def read(i):
        buffer, fd, offset = mmap.mmap(-1, DIRECT_BLOCK), os.open(shards[i], os.O_RDONLY | os.O_DIRECT), 0
        while time.time() < end:
            got = os.preadv(fd, [buffer], offset)
            total[i] += got
            offset = offset + got if got == DIRECT_BLOCK else 0

    start = time.time()
    threads = [threading.Thread(target=read, args=(i,)) for i in range(streams)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(total) / (time.time() - start)


def header_of(shard):
    """Tensors of a safetensors file, and where their bytes begin."""
    with open(shard, "rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return header, 8 + length


def bytes_of_layer(folder, layer):
    total = 0
    for shard in folder.glob("*.safetensors"):
        for name, info in header_of(shard)[0].items():
            if name.startswith(f"layers.{layer}."):
                total += info["data_offsets"][1] - info["data_offsets"][0]
    return total


class Experts:
    """The routed experts of layer 0, brought in and computed with PyTorch."""

    PARTS = [(w, p) for w in ("w1", "w2", "w3") for p in ("scale", "weight")]
    SLOTS, READERS = 24, 16

    def __init__(self, folder):
        config = json.loads((folder / "config.json").read_text())
        self.count, self.chosen = config["n_routed_experts"], config["num_experts_per_tok"]
        d, i, self.limit = config["hidden_size"], config["moe_intermediate_size"], config["swiglu_limit"]
        self.shape = {"w1": (i, d), "w2": (d, i), "w3": (i, d)}
        self.place = {}
        for shard in folder.glob("*.safetensors"):
            header, first = header_of(shard)
            for name, info in header.items():
                if name.startswith("layers.0.ffn.experts."):
                    begin, end = info["data_offsets"]
                    self.place[name] = (shard, first + begin, end - begin)
        self.sizes = [self.place[f"layers.0.ffn.experts.0.{w}.{p}"][2] for w, p in self.PARTS]
        codes = [0, .5, 1, 1.5, 2, 3, 4, 6, 0, -.5, -1, -1.5, -2, -3, -4, -6]
        pairs = torch.tensor([[codes[b & 15], codes[b >> 4]] for b in range(256)], dtype=torch.bfloat16)
        self.pairs = pairs.view(torch.int32).flatten().cuda()
        self.powers = torch.exp2(torch.arange(256).double() - 127).bfloat16().cuda()
        tokens = SAMPLES * LENGTH
        self.x = torch.randn(tokens, d, device="cuda").bfloat16()
        self.y = torch.zeros(tokens, d, device="cuda")
        chosen = torch.rand(tokens, self.count, device="cuda").topk(self.chosen).indices.flatten()
        order = chosen.argsort(stable=True)
        self.rows = (order // self.chosen).split(chosen.bincount(minlength=self.count).tolist())
        self.files = {shard: os.open(shard, os.O_RDONLY) for shard, _, _ in self.place.values()}
        self.slots = [torch.empty(sum(self.sizes), dtype=torch.uint8, pin_memory=True) for _ in range(self.SLOTS)]

    def read(self, expert, slot):
        view, at = memoryview(self.slots[slot].numpy()), 0
        for (w, p), size in zip(self.PARTS, self.sizes):
            shard, begin, _ = self.place[f"layers.0.ffn.experts.{expert}.{w}.{p}"]
            done = 0
            while done < size:
                done += os.preadv(self.files[shard], [view[at + done:at + size]], begin + done)
            at += size

    def decode(self, stored):
        parts = dict(zip(self.PARTS, stored.split(self.sizes)))
        for w, shape in self.shape.items():
            values = self.pairs.index_select(0, parts[w, "weight"].int()).view(torch.bfloat16).view(-1, 32)
            values *= self.powers.index_select(0, parts[w, "scale"].int()).unsqueeze(1)
            yield values.view(shape)

    def compute(self, expert, stored):
        w1, w2, w3 = self.decode(stored)
        rows = self.rows[expert]
        x = self.x.index_select(0, rows)
        gate, up = x @ w1.t(), x @ w3.t()
        act = torch.nn.functional.silu(gate.float().clamp(max=self.limit))
        act = (act * up.float().clamp(-self.limit, self.limit)).bfloat16()
        self.y.index_add_(0, rows, (act @ w2.t()).float())
        return x.abs().amax(), act.abs().amax()

    def run(self):
        """Seconds until every expert has been read, copied, decoded, multiplied and observed."""
        ready, free = [threading.Event() for _ in range(self.count)], [threading.Semaphore(1) for _ in self.slots]
        work = queue.Queue()
        for expert in range(self.count):
            work.put(expert)
        take = threading.Lock()

        def reader():
            while True:
                with take:  # slots are taken in order
                    if work.empty():
                        return
                    expert = work.get()
                    free[expert % self.SLOTS].acquire()
                self.read(expert, expert % self.SLOTS)
                ready[expert].set()

        torch.cuda.synchronize()
        start, side, amax, leaving = time.perf_counter(), torch.cuda.Stream(), [], []
        for _ in range(self.READERS):
            threading.Thread(target=reader, daemon=True).start()
        for expert in range(self.count):
            ready[expert].wait()
            with torch.cuda.stream(side):
                stored = self.slots[expert % self.SLOTS].to("cuda", non_blocking=True)
            stored.record_stream(torch.cuda.current_stream())
            copied = side.record_event()
            leaving.append((expert, copied))
            while leaving and (leaving[0][1].query() or len(leaving) > self.SLOTS // 2):
                old, event = leaving.pop(0)
                event.synchronize()
                free[old % self.SLOTS].release()
            torch.cuda.current_stream().wait_event(copied)
            amax.append(self.compute(expert, stored))
        torch.cuda.synchronize()
        return time.perf_counter() - start


def make_llama():
    from transformers import LlamaConfig, LlamaForCausalLM
    folder = WORK / "llama"
    if folder.exists():
        return folder
    config = LlamaConfig(hidden_size=3072, intermediate_size=8192, num_hidden_layers=28, num_attention_heads=24,
                         num_key_value_heads=8, vocab_size=32768, dtype="bfloat16")
    with torch.device("cuda"):
        model = LlamaForCausalLM(config).bfloat16()
    model.save_pretrained(folder)
    add_tokenizer(folder)
    return folder


def transformers_seconds(folder, tokens):
    """Loading, and a forward pass with the largest magnitude of every linear layer's input."""
    from transformers import AutoModelForCausalLM
    ids = torch.tensor([json.loads(line)["input_ids"] for line in open(tokens)])
    start = time.perf_counter()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, attn_implementation="sdpa").cuda()
    ids = ids.cuda()
    torch.cuda.synchronize()
    loading, amax = time.perf_counter() - start, {}

    def hook(name):
        def observe(_, inputs):
            largest = inputs[0].abs().amax()
            amax[name] = torch.maximum(amax[name], largest) if name in amax else largest
        return observe

    for name, module in model.model.layers.named_modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(hook(name))

    def forward():
        torch.cuda.synchronize()
        start = time.perf_counter()
        with torch.inference_mode():
            for batch in ids.split(32):
                model.model(batch, use_cache=False)
        torch.cuda.synchronize()
        return time.perf_counter() - start

    forward()
    return loading, statistics.median(forward() for _ in range(REPEATS))


def write_recipe(shipped, name, effort=None, **rule_fields):
    """A shipped recipe, as made-up tokens go through it, with `rule_fields` or what `effort` says in every rule."""
    recipe = json.loads("\n".join(line for line in (ROOT / "recipes" / shipped).read_text().splitlines()
                                  if not line.strip().startswith("//")))
    recipe["calibration"].pop("chat_format", None)
    del recipe["$schema"]
    if rule_fields:
        recipe.pop("effort", None)  # what rules leave open
    for rule in recipe["quantize"]:
        rule.update(rule_fields)
        if effort:
            recipe["effort"] = effort
            rule.pop("scale", None)
    path = WORK / f"{name}.json"
    path.write_text(json.dumps(recipe))
    return path


def median_seconds(recipe, source, tokens, of_layer=None):
    runs = [calibrate(recipe, source, tokens) for _ in range(REPEATS)]
    return statistics.median(wall if of_layer is None else layers[of_layer] for wall, layers in runs)


def report(what, value, against, bound):
    print(f"{what:<44} {value:8.3f}   {against:<34} {bound:8.3f}   ratio {value / bound:.2f}", flush=True)


def main():
    WORK.mkdir(parents=True, exist_ok=True)
    print(torch.cuda.get_device_name(), "PyTorch", torch.__version__, os.cpu_count(), "processors", flush=True)
    tokens, pro = write_tokens(), make_pro()
    experts_recipe = write_recipe("deepseek-v4-nvfp4-experts.json", "experts")
    read_all(pro)
    experts = Experts(pro)
    experts.run()
    pytorch = statistics.median(experts.run() for _ in range(REPEATS))
    del experts
    torch.cuda.empty_cache()
    warm = median_seconds(experts_recipe, pro, tokens, of_layer=1)
    report("V4-Pro layer, page cache warm, s", warm, "PyTorch's experts + 0.3 s", pytorch + 0.3)
    rates, cold = [], []
    for _ in range(REPEATS):
        drop_page_cache()
        rates.append(direct_rate(pro))
        drop_page_cache()
        cold.append(calibrate(experts_recipe, pro, tokens)[1][1])
    floor = bytes_of_layer(pro, 1) / statistics.median(rates)
    report("V4-Pro layer, from the disk, s", statistics.median(cold), "its bytes at the disk's rate, s", floor)
    read_all(pro)
    weighted = median_seconds(write_recipe("deepseek-v4-nvfp4-experts.json", "weighted", scale="local_hessian"), pro,
                              tokens, of_layer=1)
    report("V4-Pro layer, local Hessians, s", weighted, "largest magnitudes alone, s", warm)

    llama = make_llama()
    read_all(llama)
    plain = median_seconds(write_recipe("nvfp4.json", "max", scale="max", smooth="none"), llama, tokens)
    weighted = median_seconds(write_recipe("nvfp4.json", "hessian", scale="local_hessian", smooth="none"), llama, tokens)
    balanced = median_seconds(write_recipe("nvfp4.json", "balanced"), llama, tokens)
    # A process of its own, as Vernier's is: the device is made ready in it.
    output = subprocess.run([sys.executable, __file__, BUILD, WORK, CONFIG, "transformers"], check=True,
                            capture_output=True, text=True).stdout
    loading, forward = json.loads(output.splitlines()[-1])
    report("Llama 2.8 B, largest magnitudes, s", plain, "transformers with hooks, loaded, s", loading + forward)
    report("Llama 2.8 B, local Hessians, s", weighted, "transformers with hooks, loaded, s", loading + forward)
    report("Llama 2.8 B, local Hessians, s", weighted, "largest magnitudes alone, s", plain)
    report("Llama 2.8 B, as shipped (folds too), s", balanced, "transformers with hooks, loaded, s",
           loading + forward)


def main_best():
    WORK.mkdir(parents=True, exist_ok=True)
    tokens, layer = write_tokens(), make_pro("pro-bf16", 1, 256, "--bf16")
    recipes = [write_recipe("deepseek-v4-nvfp4-experts.json", "bf16-max", scale="max"),
               write_recipe("deepseek-v4-nvfp4-experts.json", "bf16-best", effort="best")]
    seconds = [[], []]
    for _ in range(REPEATS):
        for recipe, of_recipe in zip(recipes, seconds):
            drop_page_cache()
            of_recipe.append(calibrate(recipe, layer, tokens)[1][0])
    plain, best = map(statistics.median, seconds)
    report("V4-Pro layer in BF16, solved (best), s", best, "largest magnitudes alone, s", plain)
    methods = sqlite3.connect(WORK / "run/vernier.sqlite").execute(
        "SELECT method, count(*) FROM solved_weight GROUP BY method")
    print("of its weights:", ", ".join(f"{count} {method}" for method, count in methods))


if __name__ == "__main__":
    if sys.argv[4:] == ["best"]:
        main_best()
    elif sys.argv[4:] == ["transformers"]:
        print(json.dumps(transformers_seconds(WORK / "llama", WORK / "ids.jsonl")))
    else:
        main()
