"""Writes exclusions.json: what vLLM's and SGLang's own matchers decide on the cases below.

Usage: make_exclusions.py VLLM_SOURCE SGLANG_SOURCE, two unpacked releases (vllm/..., sglang/...).
The functions are taken out of the sources and run; nothing else of the engines is.
"""

import ast
import itertools
import json
import re
import sys
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, Dict, List, Literal

FUSED = {
    "qkv_proj": ["q_proj", "k_proj", "v_proj"],
    "gate_up_proj": ["gate_proj", "up_proj"],
    "fused_qkv_a_proj": ["q_a_proj", "kv_a_proj_with_mqa"],
}
LAYER = "model.layers.%d."
MODULES = [
    LAYER % layer + name
    for layer in (1, 10)
    for name in (
        "self_attn.qkv_proj",
        "self_attn.o_proj",
        "self_attn.fused_qkv_a_proj",
        "self_attn.q_b_proj",
        "mlp.gate_up_proj",
        "mlp.down_proj",
        "mlp.gate",
        "mlp.experts",
        "mlp.shared_experts.down_proj",
    )
] + ["lm_head", "language_model.model.layers.1.mlp.down_proj", "mtp.0.e_proj", "mtp.0.ffn.experts"]
LISTS = [
    ["lm_head"],
    ["head"],
    ["model.layers.1*"],
    ["model.layers.1.*"],
    ["model.layers.1.self_attn*"],
    ["model.layers.1.self_attn"],
    ["model.layers.1.mlp.gate"],
    ["mlp.gate"],
    ["gate"],
    ["*.mlp.*"],
    ["*experts*"],
    ["experts"],
    ["mtp*"],
    ["mtp.*"],
    ["model.layers.1.self_attn.q_proj"],
    ["model.layers.1.self_attn." + p for p in ("q_proj", "k_proj", "v_proj")],
    ["model.layers.1.mlp.gate_proj", "model.layers.1.mlp.up_proj"],
    ["model.layers.1.self_attn.q_a_proj"],
    ["model.layers.1.self_attn." + p for p in ("q_a_proj", "kv_a_proj_with_mqa")],
    ["model.layers.1.self_attn.q_b_proj"],
    ["model.layers.1.mlp.experts.3.up_proj"],
    ["model.layers.1.mlp.down_proj"],
    ["q_proj", "k_proj", "v_proj"],
]


def functions(path, names, scope):
    """Runs the definitions called `names`, of functions and methods alike, in `scope`."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        is_function = isinstance(node, ast.FunctionDef) and node.name in names
        is_constant = isinstance(node, ast.AnnAssign) and node.target.id in names if hasattr(
            getattr(node, "target", None), "id") else False
        if is_function or is_constant:
            if is_function:
                node.decorator_list = []
            names.remove(node.name if is_function else node.target.id)
            exec(compile(ast.Module([node], []), str(path), "exec"), scope)
    assert not names, names
    return scope


def scope():
    return {"Mapping": Mapping, "MappingProxyType": MappingProxyType, "Literal": Literal, "Any": Any,
            "List": List, "Dict": Dict, "re": re, "fnmatch": fnmatch}


def vllm(root):
    layers = root / "vllm/model_executor/layers/quantization"
    code = functions(layers / "utils/quant_utils.py", ["is_layer_skipped"], scope())
    code["WeightsMapper"] = Any
    functions(layers / "modelopt.py", ["is_layer_excluded", "apply_vllm_mapper"], code)
    identity = SimpleNamespace(apply_list=lambda names: names)

    def decide(patterns, module):
        config = SimpleNamespace(exclude_modules=list(patterns), packed_modules_mapping=FUSED)
        code["apply_vllm_mapper"](config, identity)
        return code["is_layer_excluded"](config, module)

    return decide


def sglang(root):
    layers = root / "sglang/srt/layers/quantization"
    code = functions(layers / "utils.py",
                     ["_module_path_match", "_FALLBACK_FUSED_SHARDS", "is_layer_skipped"], scope())
    functions(layers / "modelopt_quant.py", ["_compile_exclusion_pattern", "is_layer_excluded"], code)

    def decide(patterns, module):
        if module.endswith("fused_qkv_a_proj"):
            module += "_with_mqa"
        config = SimpleNamespace(exclude_modules=list(patterns))
        linear = not module.endswith(".experts")
        skipped = linear and code["is_layer_skipped"](module, list(patterns))
        return skipped or code["is_layer_excluded"](config, module)

    return decide


def outcome(decide, patterns, module):
    try:
        return "excluded" if decide(patterns, module) else "kept"
    except (ValueError, AssertionError):
        return "fails"


def main():
    engines = {"vLLM": vllm(Path(sys.argv[1])), "SGLang": sglang(Path(sys.argv[2]))}
    cases = [
        {"patterns": patterns, "module": module,
         **{name: outcome(decide, patterns, module) for name, decide in engines.items()}}
        for patterns, module in itertools.product(LISTS, MODULES)
    ]
    lines = ",\n".join(json.dumps(case) for case in cases)
    (Path(__file__).parent / "exclusions.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
