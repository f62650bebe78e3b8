"""vLLM's DeepSeek-V4 for NVIDIA GPUs, built on the CPU device: to be loaded, not to be run.

vLLM's classes for a CPU refuse NVFP4 experts. Two things are forced: a question for the compute
capability, and heads of the repository's small example model, which are narrower than the 512 and
128 that vLLM's kernels are made for.
"""

import inspect

import torch
from vllm_environment import replace_everywhere


class _Nothing:
    def __init__(self, *arguments, **options):
        pass


def model_class():
    torch.cuda.Event = torch.cuda.Stream = _Nothing  # as vLLM's own runner on CPUs does
    import vllm.models.deepseek_v4.compressor as compressor
    import vllm.models.deepseek_v4.nvidia.flashmla as flashmla
    import vllm.models.deepseek_v4.nvidia.model as nvidia

    source = inspect.getsource(compressor.DeepseekCompressor)
    narrow = source.replace("elif self.head_dim == 128:", "elif self.head_dim in (128, 64, 32):")
    exec("from __future__ import annotations\n" + narrow, vars(compressor))
    replace_everywhere("DeepseekCompressor", compressor.DeepseekCompressor)
    flashmla.compute_fp8_einsum_recipe = lambda: ((1, 128, 128), False)
    return nvidia.DeepseekV4ForCausalLM
