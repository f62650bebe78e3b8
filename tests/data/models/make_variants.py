"""Writes the small variants of each family: transformers 5.17.0 or 5.24.0, torch 2.13.0 (CPU).

Each folder gets config.json, model.safetensors in the released layout and reference.safetensors,
computed in float32 with eager attention from exactly the stored weights.

Usage: make_variants.py OUTPUT_DIRECTORY [VARIANT...]
"""

import contextlib
import functools
import json
import sys
import tempfile
from pathlib import Path
from unittest import mock

import torch
from safetensors.torch import load_file, save_file
import transformers
from transformers import AutoConfig

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "peers"))
import tiny_models  # noqa: E402
from block_variants import BLOCK_VARIANTS, E2M1  # noqa: E402
from hybrid_variants import HYBRID_VARIANTS  # noqa: E402
from variants import VARIANTS as PLAIN_VARIANTS  # noqa: E402

VARIANTS = {**PLAIN_VARIANTS, **HYBRID_VARIANTS, **BLOCK_VARIANTS}

SEQUENCES = 2
WEIGHT_SCALE = 0.08  # attention scores and router logits of about one
FLOAT64_TOLERANCE = 1e-4  # a router's tie within rounding would exceed it
CONTROL_DIFFERENCE = 0.05  # at least, in a logit, without what the variant is about
FP8_BLOCK, FP8_MAX = 128, 448.0
INT4_GROUP, INT4_MAX, INT4_PER_WORD = 32, 7, 8


def write_config(variant, folder):
    """As a release has it, or as transformers rewrites it."""
    (folder / "config.json").write_text(json.dumps(variant.config, indent=2) + "\n")
    if variant.rewritten:
        AutoConfig.from_pretrained(folder).save_pretrained(folder)


def text_config(config):
    """What config.json says of the language model, be it a part of it."""
    return config.get("text_config", config)


def reference_config(variant, folder):
    """For transformers: of the part that it computes, a model_type that it knows, not quantised."""
    config = json.loads((folder / "config.json").read_text())
    if variant.prefix:
        config = text_config(config)
    config["model_type"] = variant.reference or config["model_type"]
    config.pop("quantization_config", None)
    return config


def random_weights(variant, folder, extra_layers):
    """Tensors by released names: `save_pretrained` takes stacked experts apart."""
    with tempfile.TemporaryDirectory() as name:
        config = reference_config(variant, folder)
        if extra_layers:
            config["num_hidden_layers"] += extra_layers
        (Path(name) / "config.json").write_text(json.dumps(config))
        config = AutoConfig.from_pretrained(name)
    model = getattr(transformers, variant.auto_class).from_config(config)
    model = tiny_models.randomise(model, variant.seed, WEIGHT_SCALE)
    if variant.adjust:
        variant.adjust(model)
    with tempfile.TemporaryDirectory() as saved:
        model.save_pretrained(saved)
        return load_file(Path(saved) / "model.safetensors")


def add_mtp_tensors(weights, layer, seed):
    """What an MTP layer has beside a decoder layer; embedding and head are the model's."""
    generator = torch.Generator().manual_seed(seed)
    hidden = weights["model.norm.weight"].numel()
    prefix = f"model.layers.{layer}."
    for norm in ("enorm", "hnorm", "shared_head.norm"):
        weights[f"{prefix}{norm}.weight"] = (
            1 + 0.1 * torch.randn(hidden, generator=generator)).bfloat16()
    weights[f"{prefix}eh_proj.weight"] = (
        WEIGHT_SCALE * torch.randn(hidden, 2 * hidden, generator=generator)).bfloat16()
    weights[f"{prefix}embed_tokens.weight"] = weights["model.embed_tokens.weight"].clone()
    weights[f"{prefix}shared_head.head.weight"] = weights["lm_head.weight"].clone()


def tower_tensors(variant):
    """What stands beside a language model: carried, and not computed here."""
    generator = torch.Generator().manual_seed(variant.seed + 2000)
    return {name: (WEIGHT_SCALE * torch.randn(shape, generator=generator)).bfloat16()
            for name, shape in variant.tower.items()}


def spread(scales, shape):
    """[row blocks, column blocks] to `shape`."""
    blocks = scales.repeat_interleave(FP8_BLOCK, 0).repeat_interleave(FP8_BLOCK, 1)
    return blocks[: shape[0], : shape[1]]


def fp8_blocks(weight):
    """E4M3 values and amax / 448 of each 128x128 block; blocks at the edges may be partial."""
    rows, columns = weight.shape
    padded = torch.nn.functional.pad(
        weight.float().abs(), (0, -columns % FP8_BLOCK, 0, -rows % FP8_BLOCK))
    tiles = padded.unflatten(1, (-1, FP8_BLOCK)).unflatten(0, (-1, FP8_BLOCK))
    scales = tiles.amax(dim=(1, 3)) / FP8_MAX
    return (weight.float() / spread(scales, weight.shape)).to(torch.float8_e4m3fn), scales


def pack_words(codes):
    """[rows, columns] of 0..15: eight a word, the first in the lowest bits."""
    words = codes.long().unflatten(1, (-1, INT4_PER_WORD)) << (4 * torch.arange(INT4_PER_WORD))
    return words.sum(-1).to(torch.uint32).view(torch.int32)


def unpack_words(words):
    codes = words.long().unsqueeze(-1) >> (4 * torch.arange(INT4_PER_WORD))
    return (codes & 0xF).flatten(1)


def int4_groups(name, weight):
    """compressed-tensors' pack-quantized, symmetric: codes with 8 added, a scale a group."""
    groups = weight.float().unflatten(1, (-1, INT4_GROUP))
    scales = (groups.abs().amax(-1, keepdim=True) / INT4_MAX).bfloat16()
    codes = (groups / scales.float()).round().clamp(-8, INT4_MAX).flatten(1) + 8
    return {f"{name}_packed": pack_words(codes), f"{name}_scale": scales.squeeze(-1),
            f"{name}_shape": torch.tensor(weight.shape)}


def to_int4(weights):
    """Routed experts alone, as Kimi K2's releases have them."""
    result = {}
    for name, weight in weights.items():
        result.update(int4_groups(name, weight) if ".experts." in name else {name: weight})
    return result


def to_fp8(weights):
    result = {}
    for name, weight in weights.items():
        linear = name.endswith(("_proj.weight", "_proj_with_mqa.weight", ".w1.weight",
                                ".w2.weight", ".w3.weight", ".wq_b.weight", ".wk.weight"))
        if not linear or "eh_proj" in name or "weights_proj" in name:
            result[name] = weight
            continue
        result[name], result[name.replace(".weight", ".weight_scale_inv")] = fp8_blocks(weight)
    return result


QUANTISERS = {"fp8": to_fp8, "compressed-tensors": to_int4}


def dequantise(weights):
    result = {}
    for name, weight in weights.items():
        if name.endswith((".weight_scale_inv", ".weight_scale", ".weight_shape", "_scales")):
            continue
        if name.endswith("_blocks"):
            stack = name.removesuffix("_blocks")
            result[stack] = of_mxfp4(weight, weights[stack + "_scales"])
            continue
        if name.endswith(".weight_packed"):
            name = name.removesuffix("_packed")
            groups = (unpack_words(weight) - 8).float().unflatten(1, (-1, INT4_GROUP))
            weight = (groups * weights[name + "_scale"].float().unsqueeze(-1)).flatten(1)
        if weight.dtype == torch.float8_e4m3fn:
            scales = weights[name.replace(".weight", ".weight_scale_inv")]
            weight = weight.float() * spread(scales, weight.shape)
        result[name] = weight
    return result


def of_mxfp4(blocks, scales):
    """The inverse of block_variants.to_mxfp4."""
    codes = torch.stack([blocks & 15, blocks >> 4], dim=-1).flatten(-2).int()
    values = E2M1[codes & 7] * torch.where(codes >= 8, -1.0, 1.0)
    values = values * torch.exp2(scales.float() - 127).unsqueeze(-1)
    return values.flatten(-2).transpose(1, 2).contiguous()


def readable_copy(variant, folder, target):
    """As transformers computes it on a CPU: the language model, not quantised, without MTP."""
    config = reference_config(variant, folder)
    (target / "config.json").write_text(json.dumps(config))
    mtp = (f"model.layers.{config.get('num_hidden_layers')}.", "mtp.")
    weights = dequantise(load_file(folder / "model.safetensors"))
    if variant.prefix:
        weights = {name.removeprefix(variant.prefix): weight for name, weight in weights.items()
                   if name.startswith(variant.prefix)}
    save_file({name: w for name, w in weights.items() if not name.startswith(mtp)},
              target / "model.safetensors", {"format": "pt"})


def run(auto_class, folder, ids, dtype=torch.float32, changes=None):
    """Logits and the output of every decoder layer, before the final norm."""
    config = AutoConfig.from_pretrained(folder)
    for field, value in (changes or {}).items():
        setattr(config.get_text_config(), field, value)
    model, loading = getattr(transformers, auto_class).from_pretrained(
        folder, config=config, dtype=dtype, attn_implementation="eager",
        experts_implementation="eager", output_loading_info=True)
    if changes is None and any(loading.values()):
        raise SystemExit(f"{folder}: {loading}")
    hidden = {}
    decoder = getattr(model.model, "language_model", model.model)
    for i, layer in enumerate(decoder.layers):
        layer.register_forward_hook(lambda _, __, output, i=i: hidden.__setitem__(
            i, output[0] if isinstance(output, tuple) else output))
    with torch.no_grad():
        return model.eval()(ids, use_cache=False).logits, hidden


def distance(a, b):
    return (a.double() - b.double()).abs().max().item()


@contextlib.contextmanager
def ties_to_the_lower():
    """Among equal values the lower index comes first, where torch leaves the choice open."""
    def topk(x, k, dim=-1, **_):
        values, indices = torch.sort(x, dim=dim, descending=True, stable=True)
        return torch.return_types.topk((values.narrow(dim, 0, k), indices.narrow(dim, 0, k)))

    with mock.patch.object(torch.Tensor, "topk", topk), mock.patch.object(torch, "topk", topk):
        yield


def write_reference(variant, folder):
    generator = torch.Generator().manual_seed(variant.seed + 1000)
    vocabulary = text_config(variant.config)["vocab_size"]
    ids = torch.randint(0, vocabulary, (SEQUENCES, variant.positions), generator=generator)
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        readable_copy(variant, folder, copy)
        compute = functools.partial(run, variant.auto_class, copy, ids)
        logits, hidden = compute()
        rounding = distance(logits, compute(torch.float64)[0])
        controls = [distance(logits, compute(changes=c)[0]) for c in variant.controls]
        with ties_to_the_lower():
            ties = distance(logits, compute()[0])
    if max(rounding, ties) > FLOAT64_TOLERANCE or min(controls, default=1) < CONTROL_DIFFERENCE:
        raise SystemExit(f"{folder.name}: float64 {rounding}, ties {ties}, controls {controls}")
    reference = {f"f32.hidden.{i}": state for i, state in hidden.items()}
    save_file({"input_ids": ids, "f32.logits": logits, **reference},
              folder / "reference.safetensors")
    print(f"{folder.name}: logits up to {logits.abs().max():.2f}, float64 differs by "
          f"{rounding:.1e}, controls by {', '.join(f'{c:.2f}' for c in controls)}")


def make(variant, folder):
    folder.mkdir(parents=True, exist_ok=True)
    write_config(variant, folder)
    config = text_config(variant.config)
    layers = config.get("num_hidden_layers", 0)
    mtp_layers = config.get("num_nextn_predict_layers", 0)
    weights = random_weights(variant, folder, mtp_layers)
    if mtp_layers:
        add_mtp_tensors(weights, layers, variant.seed)
    quantise = QUANTISERS.get(config.get("quantization_config", {}).get("quant_method"))
    if quantise:
        weights = quantise(weights)
    if variant.release:
        weights = variant.release(weights)
    weights = {variant.prefix + name: weight for name, weight in weights.items()}
    weights.update(tower_tensors(variant))
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    write_reference(variant, folder)


def main():
    for name in sys.argv[2:] or VARIANTS:
        make(VARIANTS[name], Path(sys.argv[1]) / name)


if __name__ == "__main__":
    main()
