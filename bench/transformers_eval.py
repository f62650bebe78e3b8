#!/usr/bin/env python3
"""An evaluation by Vernier beside the same one in transformers.

    bench/transformers_eval.py BUILD REFERENCE QUANTISED IDS.safetensors [DEVICE] [DTYPE]

REFERENCE: a BF16 model that transformers loads. QUANTISED: the same model in NVFP4, weights and activations, in
ModelOpt's names. IDS: input_ids [B, S]. DEVICE: cpu or cuda; DTYPE: float32 or bfloat16. Prints mean KL divergences
to the reference and whole seconds, loading included, of `vernier eval` and of transformers' forward with the
weights dequantised and the inputs of quantised layers rounded as engines do. Needs torch, transformers, safetensors.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

BUILD, REFERENCE, QUANTISED, IDS = (Path(a).resolve() for a in sys.argv[1:5])
DEVICE = sys.argv[5] if len(sys.argv) > 5 else "cpu"
DTYPE = sys.argv[6] if len(sys.argv) > 6 else "float32"
BLOCK, BATCH = 16, 8


def by_vernier():
    start = time.perf_counter()
    text = subprocess.run([BUILD / "tools/vernier", "eval", QUANTISED, "--reference", REFERENCE, "--input-ids", IDS,
                           "--device", DEVICE, "--dtype", DTYPE, "--json", "--variants", "weights+activations", "--progress", "none"],
                          check=True, capture_output=True, text=True).stdout
    return time.perf_counter() - start, json.loads(text)


def by_transformers():
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    values = torch.tensor([0, .5, 1, 1.5, 2, 3, 4, 6, 0, -.5, -1, -1.5, -2, -3, -4, -6], device=DEVICE)
    middles = torch.tensor([.25, .75, 1.25, 1.75, 2.5, 3.5, 5], device=DEVICE)

    def decoded(packed, scales, scale):
        codes = torch.stack([packed & 15, packed >> 4], -1).flatten(-2)
        blocks = values[codes.long()].unflatten(-1, (-1, BLOCK))
        return (blocks * (scales.float() * scale).unsqueeze(-1)).flatten(-2)

    def rounded(x, scale):
        blocks = x.float().unflatten(-1, (-1, BLOCK))
        step = (blocks.abs().amax(-1, keepdim=True) / (6 * scale)).clamp(max=448).to(torch.float8_e4m3fn).float() * scale
        quotient = (blocks / step).nan_to_num(0)
        magnitude = quotient.abs()
        up = torch.bucketize(magnitude, middles, right=True)
        down = torch.bucketize(magnitude, middles)
        even = torch.where(up % 2 == 0, up, down)  # at a tie: the code whose last bit is 0
        return (values[even] * quotient.sign() * step).flatten(-2).to(x.dtype)

    def model_of(folder):
        return AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, DTYPE)).to(DEVICE).eval()

    def quantised_model():
        model, tensors = model_of(REFERENCE), {}
        for shard in QUANTISED.glob("*.safetensors"):
            tensors |= load_file(shard, device=DEVICE)
        for name, module in model.named_modules():
            if name + ".weight_scale_2" not in tensors:
                continue
            part = {p: tensors[f"{name}.{p}"] for p in ("weight", "weight_scale", "weight_scale_2", "input_scale")}
            module.weight.data = decoded(part["weight"], part["weight_scale"], part["weight_scale_2"]).to(module.weight.dtype)
            module.register_forward_pre_hook(
                lambda module, inputs, scale=part["input_scale"]: (rounded(inputs[0], scale), *inputs[1:]))
        return model

    start = time.perf_counter()
    ids = load_file(IDS)["input_ids"].to(DEVICE)
    reference, quantised = model_of(REFERENCE), quantised_model()
    total, count = 0.0, 0
    with torch.inference_mode():
        for batch in ids.split(BATCH):
            p = reference(batch).logits[:, :-1].double().log_softmax(-1)
            q = quantised(batch).logits[:, :-1].double().log_softmax(-1)
            total += (p.exp() * (p - q)).sum().item()
            count += p[..., 0].numel()
    return time.perf_counter() - start, total / count


def main():
    if sys.argv[7:] == ["transformers"]:
        print(json.dumps(by_transformers()))
        return
    seconds, result = by_vernier()
    output = subprocess.run([sys.executable, __file__, BUILD, REFERENCE, QUANTISED, IDS, DEVICE, DTYPE, "transformers"],
                            check=True, capture_output=True, text=True).stdout
    peer_seconds, peer_kld = json.loads(output.splitlines()[-1])
    print(f"vernier {seconds:.1f} s, transformers {peer_seconds:.1f} s: ratio {seconds / peer_seconds:.2f}")
    for variant in result["variants"]:
        if divergence := variant["total"]["divergence"]:
            print("vernier", variant["variant"], "mean KLD", divergence["mean_kl"]["value"], variant["seconds"], "s")
    print("transformers weights+activations mean KLD", peer_kld)


main()
