"""Damaged configurations, and scales of a cache that they announce or do not."""

import torch
from case import ATTENTION, DOWN, EXPERT, LLAMA, LLAMA_CT, MOE, MOE_CT, Case


def _decisions():
    """V05, V08: what the configuration says of a module against what it is."""
    def plain(*modules, excluded=True):
        def edit(checkpoint):
            checkpoint.plain(*modules)
            if excluded:
                checkpoint.exclude(*modules)
        return edit

    q, k, v = (f"{ATTENTION}.{x}_proj" for x in "qkv")
    for base in (LLAMA, LLAMA_CT):
        yield Case("one quantised module is excluded", base, lambda c: c.exclude(DOWN), ("V05",))
        yield Case("one plain module is not excluded", base, plain(DOWN, excluded=False),
                   ("V05",))
        yield Case("one plain module, excluded", base, plain(DOWN))
        yield Case("q, k and v plain and excluded", base, plain(q, k, v))
        yield Case("q alone plain and excluded", base, plain(q), ("V05", "V08"))
    yield Case("a pattern that is part of quantised names", LLAMA,
               lambda c: c.exclude("model.layers.1.mlp"), ("V05",))
    yield Case("a glob for all modules of a plain attention", LLAMA,
               lambda c: (c.plain(f"{ATTENTION}.*_proj"), c.exclude(f"{ATTENTION}*")))
    yield Case("an expression for all modules of a plain attention", LLAMA_CT,
               lambda c: (c.plain(f"{ATTENTION}.*_proj"), c.exclude("re:.*1.self_attn.*")))
    yield Case("one expert's quantised projection is excluded", MOE,
               lambda c: c.exclude(EXPERT + ".up_proj"), ("V05",))
    yield Case("routers are not excluded", MOE, lambda c: c.include("*.mlp.gate"), ("V05",))
    yield Case("routers are not in the ignore list", MOE_CT,
               lambda c: c.include("model.layers.0.mlp.gate", "model.layers.1.mlp.gate"),
               ("V05",))

    def only_mlp(checkpoint):
        checkpoint.quantization["config_groups"]["group_0"]["targets"] = ["re:.*mlp.*"]

    yield Case("no group covers quantised attention", LLAMA_CT, only_mlp, ("V05",))

    def two_groups(checkpoint):
        groups = checkpoint.quantization["config_groups"]
        group = groups["group_0"]
        groups["group_0"] = group | {"targets": ["re:.*self_attn.*"]}
        groups["group_1"] = group | {"targets": ["re:.*mlp.*"]}

    yield Case("one group for attention, one for MLPs", LLAMA_CT, two_groups)
    yield Case("a layer of another index is excluded", LLAMA,
               lambda c: c.exclude("model.layers.7.mlp.down_proj"))


def _cache():
    """V07: scales of the key/value cache."""
    scale = torch.tensor(0.0317).bfloat16().float()  # as vLLM keeps it

    def scales(names, announced=True):
        def edit(checkpoint):
            for layer in (0, 1):
                for name in names:
                    checkpoint.tensors[f"model.layers.{layer}.self_attn.{name}"] = scale.clone()
            if not announced:
                return
            if checkpoint.quantization["quant_method"] == "compressed-tensors":
                checkpoint.quantization["kv_cache_scheme"] = {
                    "num_bits": 8, "type": "float", "strategy": "tensor", "dynamic": False,
                    "symmetric": True}
                return
            checkpoint.quantization["kv_cache_scheme"] = {
                "num_bits": 8, "type": "float", "dynamic": False}
            checkpoint.quantization["kv_cache_quant_algo"] = "FP8"
            checkpoint.file_config["quantization"]["kv_cache_quant_algo"] = "FP8"
        return edit

    modelopt = ("k_proj.k_scale", "v_proj.v_scale")
    yield Case("scales of keys and values", LLAMA, scales(modelopt))
    yield Case("scales of keys and values", LLAMA_CT, scales(("k_scale", "v_scale")))
    yield Case("scales of keys alone", LLAMA, scales(modelopt[:1]), ("V07",))
    yield Case("scales of the cache that are not announced", LLAMA,
               scales(modelopt, announced=False), ("V07",),
               harmless="they count where the user asks vLLM for an FP8 cache")
    yield Case("scales of a name that no engine reads", LLAMA, scales(("kv_scale",)), ("V07",),
               harmless="vLLM alone takes the old name, for keys and values")
    yield Case("scales of MLA's cache", "deepseek_v3 nvfp4 modelopt", scales(modelopt), ("V07",))
    yield Case("scales of MLA's cache", "deepseek_v3 nvfp4 compressed-tensors",
               scales(("k_scale", "v_scale")), ("V07",))


def _configurations():
    """V13, V14: the configurations themselves."""
    def without(field_name):
        def edit(checkpoint):
            checkpoint.config.pop("quantization_config")
            checkpoint.file_config["quantization"].pop(field_name)
        return edit

    def nowhere(checkpoint):
        checkpoint.config.pop("quantization_config")
        checkpoint.file_config = None

    def group_size(checkpoint):
        checkpoint.quantization["group_size"] = 32
        checkpoint.quantization["config_groups"]["group_0"]["weights"]["group_size"] = 32
        checkpoint.quantization["config_groups"]["group_0"]["input_activations"]["group_size"] = 32
        checkpoint.file_config["quantization"]["group_size"] = 32

    def contradicting(checkpoint):
        checkpoint.file_config["quantization"]["exclude_modules"].append(DOWN)

    yield Case("no configuration says that weights are quantised", LLAMA, nowhere, ("V13",))
    yield Case("only hf_quant_config.json", LLAMA,
               lambda c: c.config.pop("quantization_config"))
    for name in ("group_size", "exclude_modules", "kv_cache_quant_algo"):
        yield Case(f"only hf_quant_config.json, without {name}", LLAMA, without(name), ("V13",))
    yield Case("an algorithm that nobody knows", LLAMA, lambda c: c.set_algorithm("W3A3"),
               ("V13",))
    yield Case("another group size", LLAMA, group_size, ("V13",))
    yield Case("the two configurations contradict each other", LLAMA, contradicting, ("V13",),
               harmless="vLLM reads config.json, TensorRT-LLM the other")
    yield Case("no groups", LLAMA_CT, lambda c: c.quantization.update(config_groups={}),
               ("V13",))
    yield Case("a configuration of NVFP4 for a model that is not quantised", LLAMA,
               lambda c: c.plain("model.layers.*_proj"), ("V05", "V13"))


def _mixed():
    """V05: a format for each module by its name."""
    def without(module):
        def edit(checkpoint):
            for config in (checkpoint.quantization, checkpoint.file_config["quantization"]):
                del config["quantized_layers"][module]
        return edit

    def other_algorithm(checkpoint):
        for config in (checkpoint.quantization, checkpoint.file_config["quantization"]):
            config["quantized_layers"][f"{ATTENTION}.q_proj"] = {
                "quant_algo": "NVFP4", "group_size": 16}

    mixed = "llama mixed modelopt"
    yield Case("attention in FP8, MLPs in NVFP4", mixed)
    yield Case("a quantised module is not in quantized_layers", mixed, without(DOWN), ("V05",))
    yield Case("quantized_layers gives q another algorithm than k and v", mixed, other_algorithm,
               ("V05", "V08"))


def cases():
    for group in (_decisions, _cache, _configurations, _mixed):
        yield from group()
