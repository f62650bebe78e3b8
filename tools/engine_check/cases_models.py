"""What an engine cannot cut for its devices, formats that it has for some modules alone, and models
that are loaded in parts of their own: MTP layers, DeepSeek-V4."""

from case import LLAMA, MOE, MOE_CT, Case, drop

MTP, MTP_CT = "deepseek_v3_mtp nvfp4 modelopt", "deepseek_v3_mtp nvfp4 compressed-tensors"
MTP_LAYER = "model.layers.2"
V4 = "deepseek_v4 nvfp4 native"


def _devices():
    """V11: what cannot be cut."""
    yield Case("FP8 blocks over 2 devices", "llama fp8_block modelopt", rules=("V11",),
               devices=2)
    yield Case("FP8 blocks over 2 devices", "llama fp8_block compressed-tensors",
               rules=("V11",), devices=2)
    yield Case("33 blocks of NVFP4 over 2 devices", LLAMA, rules=("V11",), devices=2,
               changes={"intermediate_size": 528})
    yield Case("33 blocks of MXFP8 over 2 devices", "llama mxfp8 modelopt", rules=("V11",),
               devices=2, changes={"intermediate_size": 1056})
    yield Case("INT4 groups of 128 over 8 devices", "llama int4 compressed-tensors",
               rules=("V11",), devices=8, changes={"num_attention_heads": 8})
    yield Case("2 heads of keys over 4 devices", LLAMA, devices=4)
    yield Case("4 heads over 8 devices", LLAMA, rules=("V11",), devices=8)
    yield Case("experts over 2 devices", MOE, devices=2)
    yield Case("experts over 4 devices", MOE_CT, devices=4)


def _in_modelopts_words(algorithm, shape_of_scale):
    """Gives a checkpoint in compressed-tensors' dialect the configurations of ModelOpt's."""
    def edit(checkpoint):
        ignore, producer = checkpoint.quantization["ignore"], {"name": "modelopt", "version": "0"}
        checkpoint.config["quantization_config"] = {
            "quant_method": "modelopt", "quant_algo": algorithm, "ignore": ignore,
            "producer": producer}
        checkpoint.file_config = {
            "producer": producer,
            "quantization": {"quant_algo": algorithm, "kv_cache_quant_algo": None,
                             "exclude_modules": ignore}}
        checkpoint.change("*.weight_scale", lambda x: x.float().reshape(shape_of_scale(x)))
    return edit


def _one_scale(inputs):
    """A scale for each weight in the place of one for each row; inputs by "token" or "tensor"."""
    def edit(checkpoint):
        group = checkpoint.quantization["config_groups"]["group_0"]
        group["weights"]["strategy"] = "tensor"
        group["input_activations"]["strategy"] = inputs
        checkpoint.change("*.weight_scale", lambda x: x.max().reshape(1))
    return edit


def _formats():
    """V05, V13: formats that vLLM has for some modules alone. Vernier writes no such experts."""
    yield Case("somebody's experts in FP8, a scale a row, as ModelOpt's",
               "qwen3_moe fp8_channel compressed-tensors",
               _in_modelopts_words("FP8_PER_CHANNEL_PER_TOKEN", lambda x: (-1,)), ("V05", "V13"))
    yield Case("somebody's experts in FP8, a scale a block, as ModelOpt's",
               "qwen3_moe fp8_block compressed-tensors",
               _in_modelopts_words("FP8_PB_WO", lambda x: (x.shape[0], 1, x.shape[1], 1)),
               ("V05", "V13"))
    for family, rules in (("qwen3_moe", ("V05", "V13")), ("llama", ())):
        yield Case("somebody's FP8, one scale, a scale for each token of inputs",
                   f"{family} fp8_channel compressed-tensors", _one_scale("token"), rules)
    yield Case("somebody's experts in FP8, one scale, one for all inputs",
               "qwen3_moe fp8_channel compressed-tensors", _one_scale("tensor"))
    yield Case("somebody's Llama in FP8, a scale a row, as ModelOpt's",
               "llama fp8_channel compressed-tensors",
               _in_modelopts_words("FP8_PER_CHANNEL_PER_TOKEN", lambda x: (-1,)))
    yield Case("experts in FP8, a scale a row", "qwen3_moe fp8_channel modelopt",
               rules=("V05", "V13"))
    yield Case("experts in FP8, a scale a block", "qwen3_moe fp8_block modelopt",
               rules=("V05", "V13"))
    yield Case("experts in FP8, one scale, inputs by their own", "qwen3_moe fp8 compressed-tensors",
               rules=("V05", "V13"))
    yield Case("MXFP4 in ModelOpt's dialect", "llama mxfp4 modelopt", rules=("V13",))
    for dialect in ("modelopt", "compressed-tensors"):
        yield Case("FP8 blocks in 576 columns", f"llama fp8_block {dialect}",
                   rules=("V05", "V11", "V13"), changes={"intermediate_size": 576})


def _mtp():
    """V03, V06: the layer that predicts further tokens."""
    def count(number):
        return lambda checkpoint: checkpoint.config.update(num_nextn_predict_layers=number)

    def not_excluded(checkpoint):  # Vernier leaves the layer as it is, and excludes it
        checkpoint.include(*[entry for entry in checkpoint.quantization["ignore"]
                             if entry.startswith(MTP_LAYER)])

    for base in (MTP, MTP_CT):
        yield Case("an MTP layer beside the main model", base)
        yield Case("an MTP layer as a draft model", base, draft=True)
        yield Case("an MTP layer announced and missing", base, drop(MTP_LAYER + ".*"),
                   ("V06",), draft=True)
        yield Case("an MTP layer that is not announced", base, count(0), ("V06",))
        yield Case("a plain MTP layer that is not excluded", base, not_excluded, ("V03", "V06"),
                   draft=True)


def _deepseek_v4():
    """V15, V09, V02: the released layout, extended."""
    experts = "layers.3.ffn.experts"

    def without(field_name):
        def edit(checkpoint):
            for config in (checkpoint.quantization, checkpoint.file_config["quantization"]):
                config.pop(field_name, None)
        return edit

    def leftover(checkpoint):
        name = f"{experts}.5.w1.scale"
        checkpoint.tensors[name] = checkpoint.source_tensors()[name]

    yield Case("experts in NVFP4, all else as released", V4, rules=("C03",),
               harmless="the check lets vLLM take the example's narrow heads")
    yield Case("no moe_quant_algo", V4, without("moe_quant_algo"), ("V15",))
    yield Case("an NVFP4 weight with the scale of its source", V4, leftover, ("V15",))
    yield Case("an expert as released", V4, lambda c: c.plain(f"{experts}.5.*"), ("V09", "V15"))
    yield Case("an expert's input_scale is missing", V4, drop(f"{experts}.5.w1.input_scale"),
               ("V02",))


def cases():
    for group in (_devices, _formats, _mtp, _deepseek_v4):
        yield from group()
