"""A checkpoint with one thing wrong, and the rules of docs/audit.md that speak of it."""

from collections.abc import Callable
from dataclasses import dataclass, field

LLAMA, LLAMA_CT = "llama nvfp4 modelopt", "llama nvfp4 compressed-tensors"
MOE, MOE_CT = "qwen3_moe nvfp4 modelopt", "qwen3_moe nvfp4 compressed-tensors"
DOWN = "model.layers.1.mlp.down_proj"
ATTENTION = "model.layers.1.self_attn"
EXPERT = "model.layers.1.mlp.experts.3"


@dataclass(frozen=True)
class Case:
    """What is done to an output of Vernier.

    The audit must report one of `rules` (without any, the checkpoint is sound), and vLLM must
    refuse it, ignore a tensor, leave a parameter unset or compute otherwise. `harmless` says why
    vLLM loads what the audit accuses: the audit speaks for other engines, too.
    """

    what: str
    output: str  # "llama nvfp4 modelopt": family, format, dialect
    edit: Callable = lambda checkpoint: None
    rules: tuple = ()
    devices: int = 1
    draft: bool = False  # the MTP layer, as a draft model
    computed: bool = False  # seen in logits alone, which then are not those of `vernier trace`
    harmless: str = ""
    changes: dict = field(default_factory=dict)  # to the model's own configuration

    @property
    def name(self):
        return f"{self.what} ({self.output})"


def drop(*patterns):
    return lambda checkpoint: checkpoint.drop(*patterns)
