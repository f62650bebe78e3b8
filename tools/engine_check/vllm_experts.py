"""Experts for vLLM's CPU platform in the formats that it has no kernel for.

vLLM's own emulation of experts is written in Triton, which has no CPU. The classes here take its
place behind the same choice of a backend ("oracle"): configuration, loading and what follows
loading stay vLLM's. They dequantise the stacks [E, N, K] that it hands over to float32 and loop
over experts.
"""

import importlib

import dequantise
import torch
from torch.nn.functional import silu
from vllm_environment import replace_everywhere

COMPRESSED_TENSORS_MOE = (
    "vllm.model_executor.layers.quantization.compressed_tensors.compressed_tensors_moe."
    "compressed_tensors_moe")


def _experts_base():
    from vllm.model_executor.layers.fused_moe.experts.cpu_moe import CPUUnquantizedExperts

    class TorchExperts(CPUUnquantizedExperts):
        """A loop over experts; each format says how its stacks are dequantised."""

        weights = None

        @staticmethod
        def _supports_quant_scheme(weight_key, activation_key):
            return True

        @staticmethod
        def is_supported_config(cls, *arguments):
            return True, None

        def process_weights_after_loading(self, layer):
            pass

        def dequantised(self, stack, scales):
            return stack

        def quantised_inputs(self, x, scale):
            return x

        def apply(self, output, hidden_states, w1, w2, topk_weights, topk_ids, *rest, **more):
            if self.weights is None:
                config = self.quant_config
                self.weights = (self.dequantised(w1, config._w1.scale),
                                self.dequantised(w2, config._w2.scale))
            gate_up, down = (w.to(hidden_states.dtype) for w in self.weights)
            x = self.quantised_inputs(hidden_states, self.quant_config.a1_gscale)
            total = torch.zeros(hidden_states.shape, dtype=torch.float32)
            for expert in topk_ids.unique().tolist():
                token, choice = (topk_ids == expert).nonzero(as_tuple=True)
                gate, up = (x[token] @ gate_up[expert].t()).chunk(2, -1)
                inner = self.quantised_inputs(silu(gate) * up, self.quant_config.a2_gscale)
                weight = topk_weights[token, choice, None].float()
                total.index_add_(0, token, weight * (inner @ down[expert].t()).float())
            output.copy_(total.to(output.dtype))

    return TorchExperts


def _install_nvfp4(base, quantised_inputs):
    import vllm.model_executor.layers.fused_moe.oracle.nvfp4 as oracle
    from vllm.model_executor.layers.quantization.utils import nvfp4_emulation_utils

    class Nvfp4Experts(base):
        def process_weights_after_loading(self, layer):
            def stack(name):
                parts = (getattr(layer, name + part).data
                         for part in ("_weight", "_weight_scale", "_weight_scale_2"))
                return dequantise.nvfp4(*parts)

            self.weights = stack("w13"), stack("w2")

        def quantised_inputs(self, x, scale):
            if not quantised_inputs or scale is None:
                return x
            return nvfp4_emulation_utils.ref_nvfp4_quant_dequant(x, scale, 16)

    importlib.import_module(COMPRESSED_TENSORS_MOE + "_w4a4_nvfp4")
    convert = oracle.convert_to_nvfp4_moe_kernel_format

    def convert_on_cpu(**given):
        if not given.get("use_a16"):
            return convert(**given)
        kept = [given[name] for name in ("w13", "w13_scale", "w13_scale_2")] + [None]
        return *kept, *[given[name] for name in ("w2", "w2_scale", "w2_scale_2")], None

    def classes(backend):
        return [Nvfp4Experts] if backend == oracle.NvFp4MoeBackend.EMULATION else []

    oracle.backend_to_kernel_cls = classes
    replace_everywhere("convert_to_nvfp4_moe_kernel_format", convert_on_cpu)


def _install_mxfp4(base):
    import vllm.model_executor.layers.fused_moe.oracle.mxfp4 as oracle

    class Mxfp4Experts(base):
        def dequantised(self, stack, scales):
            return dequantise.mxfp4(stack, scales)

    method = importlib.import_module(COMPRESSED_TENSORS_MOE + "_w4a4_mxfp4")
    emulation = oracle.Mxfp4MoeBackend.EMULATION
    classes, create = oracle.backend_to_kernel_cls, method.CompressedTensorsW4A4Mxfp4MoEMethod
    construct = create.__init__

    def construct_on_cpu(self, moe):  # hard-wired to Marlin
        construct(self, moe)
        self.mxfp4_backend, self.experts_cls = emulation, Mxfp4Experts
        self.use_cutlass_mxfp4 = False

    oracle.backend_to_kernel_cls = (
        lambda backend: [Mxfp4Experts] if backend == emulation else classes(backend))
    create.__init__ = construct_on_cpu
    method.prepare_moe_fp4_layer_for_marlin = lambda layer: None


def _install_fp8(base):
    import vllm.model_executor.layers.fused_moe.experts.cpu_moe as cpu_moe
    import vllm.model_executor.layers.fused_moe.oracle.fp8 as oracle
    import vllm.model_executor.layers.fused_moe.oracle.mxfp8 as mx_oracle

    class Fp8Experts(base):
        def dequantised(self, stack, scales):
            if stack.element_size() > 1:  # MXFP8: vLLM has done it, exactly, in bfloat16
                return stack
            if scales.dtype == torch.uint8:
                return dequantise.mxfp8(stack, scales)
            return dequantise.fp8(stack, scales.data)

    backends = oracle.Fp8MoeBackend
    oracle.backend_to_kernel_cls = (
        lambda backend: [Fp8Experts] if backend == backends.CPU else [])
    mx_oracle._mxfp8_backend_to_kernel_cls = (
        lambda backend: [Fp8Experts] if backend == backends.EMULATION else [])
    cpu_moe.prepare_fp8_moe_layer_for_cpu = lambda w13, w2: (w13, w2)


def _install_int4(base):
    import vllm.model_executor.layers.fused_moe.experts.int4_emulation_moe as emulation
    import vllm.model_executor.layers.fused_moe.oracle.int_wna16 as oracle

    class Int4Experts(base):
        pass

    def dequantised(w13, w2, w13_scale, w2_scale, w13_zeros, w2_zeros):
        """In float32; vLLM's own emulation rounds to bfloat16."""
        assert w13_zeros is None and w2_zeros is None
        one = torch.ones(1)
        stacks = dequantise.int4(w13, w13_scale), dequantise.int4(w2, w2_scale)
        return (*stacks, one, one, None, None, None, None, None, None)

    oracle._get_priority_backends = lambda: [oracle.WNA16MoEBackend.EMULATION]
    oracle.backend_to_kernel_cls = lambda backend: [Int4Experts]
    oracle._backend_incompatibility_reason = lambda *arguments, **more: None
    oracle._process_weights_emulation_gptq = dequantised
    emulation.Int4EmulationTritonExperts = Int4Experts
    oracle.Int4EmulationTritonExperts = Int4Experts


def install(quantised_inputs=False):
    base = _experts_base()
    _install_nvfp4(base, quantised_inputs)
    _install_mxfp4(base)
    _install_fp8(base)
    _install_int4(base)
