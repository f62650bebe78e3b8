"""What is quantised and with which tokens. As a program, writes calibration_ids.*."""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

HERE = Path(__file__).resolve().parent
MODELS = {
    "llama": HERE.parent / "models" / "tiny-llama",
    "qwen3_moe": HERE.parent / "models" / "tiny-qwen3-moe",
    "deepseek_v3": HERE.parent / "models" / "tiny-deepseek-v3",
}
SEQUENCES, POSITIONS, VOCABULARY = 8, 64, 512
sys.path.insert(0, str(HERE.parent / "peers"))  # the scripts there do the quantising


def samples():
    """8 tensors [1, 64], each a batch of its own."""
    return list(load_file(HERE / "calibration_ids.safetensors")["input_ids"].split(1))


def keep(directory, source=None):
    """Only configurations and tensors; of these only what `source`, a checkpoint, has not."""
    directory = Path(directory)
    for path in directory.iterdir():
        if path.name not in ("config.json", "hf_quant_config.json", "model.safetensors"):
            path.unlink()
    if source is None:
        return
    known = load_file(source / "model.safetensors")
    made = {
        name: tensor
        for name, tensor in load_file(directory / "model.safetensors").items()
        if name not in known
        or tensor.dtype != known[name].dtype
        or not torch.equal(tensor, known[name])
    }
    save_file(made, directory / "model.safetensors", {"format": "pt"})


def write_ids():
    generator = torch.Generator().manual_seed(64)
    ids = torch.randint(0, VOCABULARY, (SEQUENCES, POSITIONS), generator=generator)
    save_file({"input_ids": ids}, HERE / "calibration_ids.safetensors")
    lines = [json.dumps({"input_ids": row}) + "\n" for row in ids.tolist()]
    (HERE / "calibration_ids.jsonl").write_text("".join(lines))


if __name__ == "__main__":
    write_ids()
