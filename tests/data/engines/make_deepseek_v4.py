"""Writes deepseek_v4.json: what vLLM and SGLang build DeepSeek-V4's routed experts as.

Usage: make_deepseek_v4.py VLLM_SOURCE... SGLANG_SOURCE, unpacked releases (vllm/..., sglang/...) in
directories that are called by their releases: vllm-0.33.0, sglang-0.5.23.
The classes that choose a method are taken out of the sources and run beside stand-ins for the rest.
"""

import ast
import itertools
import json
import re
import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace

from make_exclusions import functions, scope

LAYERS = 12
MODULES = [f"layers.{layer}.ffn.experts" for layer in (0, 1, 10, 11)]
MODULES += [f"mtp.{layer}.ffn.experts" for layer in (0, 1)]
NVIDIA = ["*.attn.*", "*.ffn.shared_experts.*", "head"]
LISTS = [
    [],
    NVIDIA,
    NVIDIA + ["mtp.*"],
    NVIDIA + ["mtp*"],
    ["mtp"],
    ["mtp.0"],
    ["mtp.0.*"],
    ["mtp.1.*"],
    ["mtp.?.ffn.experts"],
    ["mtp.0.ffn.experts"],
    ["mtp.0.ffn.experts*"],
    ["mtp.0.ffn.experts.*"],
    ["MTP.*"],
    ["model.mtp.*"],
    ["model.decoder.*"],
    [f"layers.{LAYERS}.ffn.experts"],
    ["layers.1"],
    ["layers.1*"],
    ["layers.1.*"],
    ["layers.1.ffn.experts"],
    ["layers.1.ffn.experts.*"],
    ["layers.1.ffn.experts.0.w1"],
    ["layers.1.mlp.experts"],
    ["model.layers.1.*"],
    ["model.layers.1.ffn.experts"],
    ["model.layers.1.mlp.experts"],
    ["*layers.1.*"],
    ["*.ffn.experts"],
    ["*.mlp.experts"],
    ["*experts*"],
    ["experts"],
    ["ffn"],
    ["re:.*experts"],
    ["*"],
]


class Method:
    """Stands for a class of kernels, of which only the name counts."""

    def __init__(self, *args, **kwargs):
        pass


class Anything(types.ModuleType):
    """A module that has every name."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        value = type(name, (Method,), {})
        setattr(self, name, value)
        return value


class AnyImport:
    """Answers every import below `package` with Anything while it is entered."""

    def __init__(self, package, **names):
        self.package, self.names = package, names

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] != self.package:
            return None
        return ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        module = Anything(spec.name)
        module.__dict__.update(self.names)
        return module

    def exec_module(self, module):
        pass

    def __enter__(self):
        sys.meta_path.insert(0, self)

    def __exit__(self, *_):
        sys.meta_path.remove(self)
        for name in [n for n in sys.modules if n.split(".")[0] == self.package]:
            del sys.modules[name]


class Fp8Config:
    """The engines' class of that name, as far as the choice asks for it."""

    def __init__(self):
        self.ignored_layers = []
        self.packed_modules_mapping = {}
        self.weight_block_size = [128, 128]
        self.online_quantization_config = None
        self.is_fp4_experts = True

    @classmethod
    def from_config(cls, config):
        return cls()

    def get_quant_method(self, layer, prefix):
        raise AssertionError("the experts are FP8")


def configuration(patterns):
    return {"quant_method": "fp8", "quant_algo": "MIXED_PRECISION", "moe_quant_algo": "NVFP4",
            "group_size": 16, "ignore": list(patterns)}


def build(method):
    return {"ModelOptNvFp4FusedMoE": "nvfp4", "ModelOptNvFp4FusedMoEMethod": "nvfp4",
            "Mxfp4MoEMethod": "mxfp4", "Mxfp4FlashinferTrtllmMoEMethod": "mxfp4",
            "UnquantizedFusedMoEMethod": "unquantised"}[type(method).__name__]


def vllm(root):
    layers = root / "vllm/model_executor/layers/quantization"
    # On CUDA and ROCm the method of DeepSeek-V4 is the class of V4.1.
    lookup = (layers / "__init__.py").read_text()
    assert "deepseek_config: type[QuantizationConfig] = DeepseekV41FP8Config" in lookup
    assert '"deepseek_v4_fp8": deepseek_config' in lookup
    skipped = functions(layers / "utils/quant_utils.py", ["is_layer_skipped"], scope())
    path = root / "vllm/models/deepseek_v41/quant_config.py"

    def decide(patterns, module):
        kind, number, rest = module.split(".", 2)
        layer = int(number) + (LAYERS if kind == "mtp" else 0)
        config = configuration(patterns)
        text = SimpleNamespace(num_hidden_layers=LAYERS)
        model = SimpleNamespace(
            hf_config=SimpleNamespace(expert_dtype="fp4", quantization_config=config),
            hf_text_config=text)
        names = {"Fp8Config": Fp8Config, "is_layer_skipped": skipped["is_layer_skipped"],
                 "get_current_vllm_config": lambda: SimpleNamespace(model_config=model),
                 "init_logger": lambda name: SimpleNamespace(info_once=lambda *_: None)}
        with AnyImport("vllm", **names), AnyImport("regex", compile=re.compile):
            code = {"__name__": "quant_config"}
            exec(compile(path.read_text(), str(path), "exec"), code)
            experts = code["RoutedExperts"]()
            experts.moe_config = None
            quant = code["DeepseekV4FP8Config"].from_config(config)
            return build(quant.get_quant_method(experts, f"model.layers.{layer}.{rest}"))

    return decide


def added_exclusions(path, patterns):
    """The list that SGLang's loader makes of config.json's."""
    for node in ast.walk(ast.parse(path.read_text())):
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(target, ast.Name) and target.id == "nvfp4_exclude_modules":
            meta = {"exclude_modules": list(patterns)}
            return eval(compile(ast.Expression(node.value), str(path), "eval"),
                        {"nvfp4_meta": meta, "list": list})
    raise AssertionError("the loader makes no list")


def hybrid_class(path, names):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef) and node.name == "HybridFp8NvFp4Config":
            exec("from __future__ import annotations\n" + ast.unparse(node), names)
            return names["HybridFp8NvFp4Config"]
    raise AssertionError("there is no such class")


def sglang(root):
    quantization = root / "sglang/srt/layers/quantization/modelopt_quant.py"
    loader = root / "sglang/srt/model_loader/loader.py"
    matcher = functions(quantization, ["_compile_exclusion_pattern", "is_layer_excluded"], scope())

    def decide(patterns, module):
        kind, number, _ = module.split(".", 2)
        # models/deepseek_v4.py and deepseek_v4_nextn.py, which builds one layer.
        if kind == "mtp" and number != "0":
            return None
        name = "model.decoder" if kind == "mtp" else f"model.layers.{number}"
        config = SimpleNamespace(exclude_modules=added_exclusions(loader, patterns))
        config.is_layer_excluded = lambda prefix: matcher["is_layer_excluded"](config, prefix)
        nvfp4 = type("ModelOptNvFp4FusedMoEMethod", (Method,), {})
        with AnyImport("sglang"):
            hybrid = hybrid_class(quantization, {"Fp8Config": Fp8Config,
                                                 "ModelOptNvFp4FusedMoEMethod": nvfp4})
            from sglang.srt.layers.moe.fused_moe_triton import FusedMoE
            quant = hybrid(Fp8Config(), config)
            return build(quant.get_quant_method(FusedMoE(), f"{name}.mlp.experts"))

    return decide


def main():
    engines = {}
    for root in map(Path, sys.argv[1:]):
        engine, release = root.name.split("-")
        make, name = {"vllm": (vllm, "vLLM"), "sglang": (sglang, "SGLang")}[engine]
        engines[f"{name} {release}"] = make(root)
    cases = [
        {"patterns": patterns, "module": module,
         **{name: decide(patterns, module) for name, decide in engines.items()}}
        for patterns, module in itertools.product(LISTS, MODULES)
    ]
    lines = ",\n".join(json.dumps(case) for case in cases)
    (Path(__file__).parent / "deepseek_v4.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
