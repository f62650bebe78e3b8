"""The settings that vLLM's processes get, and how its modules are changed."""

import sys

# No network, one process, little memory.

SETTINGS = {
    "HF_HUB_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "OMP_NUM_THREADS": "1",
}


def replace_everywhere(name, value):
    """Gives `name` the value in every module of vLLM that has imported it."""
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith("vllm") and name in vars(module):
            setattr(module, name, value)


def subclasses(cls):
    for child in cls.__subclasses__():
        yield child
        yield from subclasses(child)
