"""Makes the stores of this folder again: python3 make_stores.py VERNIER, the command of the commit that README.md names.

It must be one that writes schema version 2; the tests are about stores that it left behind.
"""
import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[3]
MODELS = ROOT / "tests/data/models"
TOKENIZER = ROOT / "examples/mini-deepseek-v4"
SAMPLES, LENGTH, VOCAB = 4, 32, 512
SHARE = ["--samples", str(SAMPLES), "--sequence-length", str(LENGTH)]


def write_ids():
    dice = random.Random(7)
    lines = [json.dumps({"input_ids": [dice.randrange(VOCAB) for _ in range(LENGTH)]})
             for _ in range(SAMPLES)]
    (HERE / "ids.jsonl").write_text("\n".join(lines) + "\n")


def source(work, model):
    place = work / model
    shutil.copytree(MODELS / model, place)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(TOKENIZER / file, place / file)
    return place


def arguments(recipe, place, run):
    for file in (recipe, HERE / "ids.jsonl"):
        shutil.copy(file, run.parent / file.name)
    return [recipe.name, "--source", place.name, "--output", "out", "--run-dir", run.name,
            "--data", "ids.jsonl", *SHARE]


def keep(run, name):
    target = HERE / name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for file in run.iterdir():
        if file.suffix in (".sqlite", ".bin", ".part") and "sum-2" not in file.name:
            shutil.copy(file, target / file.name)


def dump(vernier, run, name):
    amax = subprocess.run([vernier, "amax", run], check=True, capture_output=True).stdout
    (HERE / name).write_bytes(amax)


def finished(vernier, work):
    run = work / "finished"
    call = arguments(ROOT / "recipes/nvfp4.json", source(work, "tiny-llama"), run)
    subprocess.run([vernier, "calibrate", *call, "--kv-cache", "fp8"],
                   cwd=work, check=True)
    keep(run, "finished")
    dump(vernier, run, "finished_amax.json")


def stage_of(run):
    with sqlite3.connect(f"file:{run}/vernier.sqlite?mode=ro", uri=True) as store:
        return store.execute("SELECT layer, stage, (SELECT count(*) FROM partial_amax)"
                             " FROM partial_layer").fetchone()


# The layer, the stage and the number of modules of the layer under way, if there is one.
def place_of(run):
    try:
        name = f"file:{run}/vernier.sqlite?mode=ro"
        with contextlib.closing(sqlite3.connect(name, uri=True)) as store:
            return store.execute("SELECT layer, stage, (SELECT count(*) FROM partial_amax)"
                                 " FROM partial_layer").fetchone()
    except sqlite3.OperationalError:
        return None


def inside_experts(run):
    place = place_of(run)
    return place is not None and place[0] == 2 and place[1] == "experts" and place[2] > 0


# Ctrl-C when it has saved some experts of a layer that has others before it.
def interrupted(vernier, work):
    place = source(work, "tiny-deepseek-v4")
    recipe = HERE / "interrupted_recipe.json"
    recipe.write_text(json.dumps({
        "version": 1, "source": "source", "output": "output",
        "calibration": {"data": [{"path": "ids.jsonl"}]},
        "quantize": [{"role": "routed_expert", "format": "nvfp4"}]}, indent=2) + "\n")
    for attempt in range(50):
        run = work / f"interrupted{attempt}"
        call = [vernier, "calibrate", *arguments(recipe, place, run), "--save-interval", "0",
                "--batch-size", "2", "--device-memory", "2MiB", "--progress", "none"]
        process = subprocess.Popen(call, cwd=work)
        while process.poll() is None and not inside_experts(run):
            pass
        process.send_signal(signal.SIGINT)
        process.wait()
        if inside_experts(run):
            print("interrupted in", place_of(run))
            keep(run, "interrupted")
            return
    raise SystemExit("never inside the experts of layer 2")


# Two values of a weight are NaN: the first row of its tensor.
def clamped(vernier, work):
    place = work / "clamped-source"
    shutil.copytree(MODELS / "tiny-llama", place)
    file = place / "model.safetensors"
    data = bytearray(file.read_bytes())
    header = int.from_bytes(data[:8], "little")
    tensor = json.loads(data[8:8 + header])["model.layers.1.mlp.up_proj.weight"]
    start = 8 + header + tensor["data_offsets"][0]
    data[start:start + 4] = b"\xc0\x7f\xc0\x7f"
    file.write_bytes(data)
    run = work / "clamped"
    subprocess.run([vernier, "convert", place.name, "converted", "--weights", "fp8_block",
                    "--run-dir", run.name, "--non-finite", "clamp"], cwd=work, check=True)
    keep(run, "clamped")


def main():
    vernier = os.path.abspath(sys.argv[1])
    write_ids()
    with tempfile.TemporaryDirectory() as work:
        for make in (finished, interrupted, clamped):
            make(vernier, Path(work))


main()
