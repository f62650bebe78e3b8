"""Linear layers for vLLM's CPU platform in the formats that it has no kernel for.

Each kernel takes the parameters as vLLM's loader has left them, dequantises to float32 and
multiplies in torch: inputs are taken as they are. Only NVFP4 with quantised inputs is vLLM's own
(EmulationNvFp4LinearKernel).
"""

import dequantise
import torch
from torch.nn.functional import linear
from vllm_environment import replace_everywhere


class _AnyConfiguration:
    """A kernel that is always there, and leaves parameters as they were loaded."""

    @classmethod
    def is_supported(cls, compute_capability=None):
        return True, None

    @classmethod
    def can_implement(cls, config):
        return True, None

    @classmethod
    def get_min_capability(cls):
        return -1

    def process_weights_after_loading(self, layer):
        pass


def _install_fp4(quantised_inputs):
    import vllm.model_executor.kernels.linear as kernels
    import vllm.model_executor.layers.quantization.compressed_tensors.compressed_tensors  # noqa
    import vllm.model_executor.layers.quantization.modelopt  # noqa
    from vllm.model_executor.kernels.linear.mxfp4.base import MxFp4LinearKernel
    from vllm.model_executor.kernels.linear.nvfp4.base import (
        NvFp4LinearKernel,
        NvFp4LinearLayerConfig,
    )
    from vllm.model_executor.kernels.linear.nvfp4.emulation import EmulationNvFp4LinearKernel
    from vllm.platforms import PlatformEnum

    class Nvfp4(_AnyConfiguration, NvFp4LinearKernel):
        def apply_weights(self, layer, x, bias=None):
            weight = dequantise.nvfp4(layer.weight, layer.weight_scale, layer.weight_global_scale)
            return linear(x, weight.to(x.dtype), bias)

    class Mxfp4(_AnyConfiguration, MxFp4LinearKernel):
        def apply_weights(self, layer, x, bias=None):
            return linear(x, dequantise.mxfp4(layer.weight, layer.weight_scale).to(x.dtype), bias)

    chosen = EmulationNvFp4LinearKernel if quantised_inputs else Nvfp4
    kernels.register_linear_kernel(chosen, PlatformEnum.CPU, "nvfp4")
    kernels.register_linear_kernel(Mxfp4, PlatformEnum.CPU, "mxfp4")
    choose = kernels.init_nvfp4_linear_kernel

    def choose_on_cpu(use_a16=False):
        return Nvfp4(NvFp4LinearLayerConfig()) if use_a16 else choose()

    replace_everywhere("init_nvfp4_linear_kernel", choose_on_cpu)


def _install_fp8():
    import vllm._custom_ops as ops
    import vllm.model_executor.kernels.linear as kernels
    import vllm.model_executor.layers.fusion.fused_act_quant as fusion
    from vllm.model_executor.kernels.linear.mxfp8.Mxfp8LinearKernel import Mxfp8LinearKernel
    from vllm.model_executor.kernels.linear.scaled_mm.BlockScaledMMLinearKernel import (
        Fp8BlockScaledMMLinearKernel,
    )
    from vllm.model_executor.kernels.linear.scaled_mm.pytorch import TorchFP8ScaledMMLinearKernel
    from vllm.platforms import PlatformEnum

    class Mxfp8(_AnyConfiguration, Mxfp8LinearKernel):
        def apply_weights(self, layer, x, bias=None):
            return linear(x, dequantise.mxfp8(layer.weight, layer.weight_scale).to(x.dtype), bias)

    class Fp8Block(_AnyConfiguration, Fp8BlockScaledMMLinearKernel):
        apply_input_quant = False

        def apply_block_scaled_mm(self, A, B, As, Bs):
            raise NotImplementedError

        def apply_weights(self, layer, x, bias=None, **options):
            found = self._get_layer_params(layer)
            scale = found.weight_scale
            if found.weight_scale_inv is not None:
                scale = found.weight_scale_inv
            return linear(x, dequantise.fp8(found.weight, scale).to(x.dtype), bias)

    def apply_fp8(self, layer, x, bias=None):
        weight, scale, _, _ = self._get_layer_params(layer)
        return linear(x, dequantise.fp8(weight.t(), scale).to(x.dtype), bias)

    def quantise(x, scale=None, **options):  # an operation that builds without AVX-512 lack
        if scale is None:
            scale = (x.abs().max().float() / 448).reshape(1)
        return (x.float() / scale).clamp(-448, 448).to(torch.float8_e4m3fn), scale

    kernels.register_linear_kernel(Mxfp8, PlatformEnum.CPU, "mxfp8")
    kernels._POSSIBLE_FP8_BLOCK_KERNELS[PlatformEnum.CPU].append(Fp8Block)
    TorchFP8ScaledMMLinearKernel.apply_weights = apply_fp8
    fusion._FUSED_ACT_QUANT.clear()
    ops.scaled_fp8_quant = quantise


def _install_int4():
    import vllm.model_executor.kernels.linear as kernels
    from vllm.model_executor.kernels.linear import MPLinearKernel
    from vllm.platforms import PlatformEnum

    class Int4(_AnyConfiguration, MPLinearKernel):
        def apply_weights(self, layer, x, bias=None):
            words = getattr(layer, self.w_q_name).data
            weight = dequantise.int4(words, getattr(layer, self.w_s_name).data)
            return linear(x, weight.to(x.dtype), bias)

    kernels._POSSIBLE_KERNELS[PlatformEnum.CPU].insert(0, Int4)


def install(quantised_inputs=False):
    _install_fp4(quantised_inputs)
    _install_fp8()
    _install_int4()
