"""Damaged tensors: missing, superfluous, of another shape or format than they should have."""

import torch
from case import ATTENTION, DOWN, EXPERT, LLAMA, LLAMA_CT, MOE, MOE_CT, Case, drop


def every_second_scale(scales):
    return scales[:, ::2].contiguous()


def _tensors():
    """B04, V02: tensors that are missing, superfluous or of another shape."""
    yield Case("block scales for 32 columns each", LLAMA,
               lambda c: c.change(DOWN + ".weight_scale", every_second_scale), ("B04",))
    yield Case("block scales for 32 columns each", LLAMA_CT,
               lambda c: c.change(DOWN + ".weight_scale", every_second_scale), ("B04",))
    yield Case("two global scales for one weight", LLAMA,
               lambda c: c.change(DOWN + ".weight_scale_2", lambda x: x.repeat(2)), ("B04",))
    yield Case("scales without their weight", LLAMA, drop(DOWN + ".weight"), ("B04",))
    yield Case("an expert's scales without their weight", MOE,
               drop(EXPERT + ".up_proj.weight"), ("B04", "V09"))

    def with_scales_left(checkpoint):
        kept = checkpoint.tensors[DOWN + ".weight_scale"]
        checkpoint.plain(DOWN)
        checkpoint.exclude(DOWN)
        checkpoint.tensors[DOWN + ".weight_scale"] = kept

    yield Case("a scale beside a plain, excluded weight", LLAMA, with_scales_left, ("B04",))
    for suffix in ("weight_scale", "weight_scale_2", "input_scale"):
        yield Case(f"no {suffix}", LLAMA, drop(f"{DOWN}.{suffix}"), ("V02",))
        yield Case(f"no {suffix} of an expert", MOE, drop(f"{EXPERT}.up_proj.{suffix}"), ("V02",))
    for suffix in ("weight_scale", "weight_global_scale", "input_global_scale"):
        yield Case(f"no {suffix}", LLAMA_CT, drop(f"{DOWN}.{suffix}"), ("V02",))
        yield Case(f"no {suffix} of an expert", MOE_CT, drop(f"{EXPERT}.up_proj.{suffix}"),
                   ("V02",))
    yield Case("no weight_scale", "llama mxfp8 modelopt", drop(DOWN + ".weight_scale"),
               ("V02", "V05"))
    yield Case("no weight_scale", "llama mxfp4 compressed-tensors",
               drop(DOWN + ".weight_scale"), ("V02", "V05"))
    yield Case("no weight_scale", "llama fp8_channel modelopt", drop(DOWN + ".weight_scale"),
               ("V02", "V05"))
    yield Case("no weight_shape", "llama int4 compressed-tensors", drop(DOWN + ".weight_shape"),
               ("V02",))


def _head():
    """V04: the output head."""
    def quantised(excluded):
        def edit(checkpoint):
            checkpoint.nvfp4("lm_head")
            if not excluded:
                checkpoint.include("lm_head")
        return edit

    def tied(checkpoint):
        checkpoint.config["tie_word_embeddings"] = True

    def tied_copy(checkpoint):
        tied(checkpoint)
        checkpoint.tensors["lm_head.weight"] = (
            checkpoint.tensors["model.embed_tokens.weight"].clone())

    def tied_quantised(checkpoint):
        tied(checkpoint)
        checkpoint.nvfp4("lm_head")
        checkpoint.include("lm_head")

    yield Case("a quantised head that is excluded", LLAMA, quantised(True), ("V04",))
    yield Case("a quantised head, announced", LLAMA, quantised(False), ("V04",),
               harmless="only older vLLM and other engines do not read it")
    yield Case("a plain head that is not excluded", LLAMA, lambda c: c.include("lm_head"),
               ("V04",))
    yield Case("a plain head that is not in the ignore list", LLAMA_CT,
               lambda c: c.include("lm_head"), ("V14",),
               harmless="only versions that count heads among linear layers stumble")
    yield Case("no head, and none is tied", LLAMA, drop("lm_head.weight"), ("V04", "C03"))
    yield Case("a head that is the embedding it is tied to", LLAMA, tied_copy)
    yield Case("a quantised head, tied", LLAMA, tied_quantised, ("V04", "V10"),
               harmless="vLLM builds a quantised head of its own")


def _experts():
    """V09, V10: experts and routers."""
    yield Case("an expert is missing", MOE, drop(EXPERT + ".*"), ("V09",))
    yield Case("an expert is missing", MOE_CT, drop(EXPERT + ".*"), ("V09",))
    yield Case("an expert's projection is missing", MOE, drop(EXPERT + ".down_proj.*"), ("V09",))
    yield Case("an expert is plain", MOE, lambda c: c.plain(EXPERT + ".*"), ("V09",))
    yield Case("an expert is plain and excluded", MOE,
               lambda c: (c.plain(EXPERT + ".*"), c.exclude(EXPERT + "*")), ("V09",))
    yield Case("an expert more than announced", MOE,
               lambda c: c.config.update(num_experts=7), ("C03",))
    yield Case("an expert less than announced", MOE,
               lambda c: c.config.update(num_experts=9), ("V09",))
    yield Case("a router is NVFP4", MOE, lambda c: c.nvfp4("model.layers.1.mlp.gate"), ("V10",))

    def stacked(checkpoint):
        for name in checkpoint.named("model.layers.1.mlp.experts.*.up_proj.weight"):
            checkpoint.tensors.pop(name)
        checkpoint.tensors["model.layers.1.mlp.experts.up_proj.weight"] = torch.zeros(
            8, 256, 128, dtype=torch.uint8)

    yield Case("experts' codes are stacked", MOE, stacked, ("V09",))


def _fused_scales():
    """V01, V08: vLLM takes one scale for what it fuses."""
    def doubled(tensor):
        return lambda checkpoint: checkpoint.change(tensor, lambda scale: 2 * scale)

    for base, suffix, experts in ((LLAMA, "weight_scale_2", MOE),
                                  (LLAMA_CT, "weight_global_scale", MOE_CT)):
        yield Case("k has another global scale than q and v", base,
                   doubled(f"{ATTENTION}.k_proj.{suffix}"), ("V08",), computed=True)
        yield Case("an expert's gate has another global scale than its up", experts,
                   doubled(f"{EXPERT}.gate_proj.{suffix}"), ("V01",), computed=True)


def _model():
    """C03: config.json against the tensors."""
    yield Case("a layer is missing", LLAMA, drop("model.layers.1.*"), ("C03",))
    yield Case("a layer more than announced", LLAMA,
               lambda c: c.config.update(num_hidden_layers=1), ("C03", "V06"))
    yield Case("a norm is missing", LLAMA, drop("model.layers.1.input_layernorm.weight"),
               ("C03",))
    yield Case("a bias is missing", "qwen2 nvfp4 modelopt", drop(f"{ATTENTION}.q_proj.bias"),
               ("C03",))
    yield Case("another vocabulary is announced", LLAMA,
               lambda c: c.config.update(vocab_size=5000), ("C03", "B04"))
    yield Case("another width of the MLP is announced", LLAMA,
               lambda c: c.config.update(intermediate_size=1024), ("C03", "B04"))
    yield Case("a tensor that no model has", LLAMA,
               lambda c: c.tensors.update({"model.layers.1.extra.weight": torch.ones(8, 8)}),
               ("C03",))
    yield Case("frequencies of a rotary embedding, as older releases have", LLAMA,
               lambda c: c.tensors.update(
                   {"model.layers.1.self_attn.rotary_emb.inv_freq": torch.ones(32)}))


def cases():
    for group in (_tensors, _head, _experts, _fused_scales, _model):
        yield from group()
