"""What vLLM's own loader makes of checkpoints: does every byte arrive, and is none missing?

Each checkpoint is loaded twice into the model that vLLM builds for it, without what follows
loading: once as it is, onto poisoned parameters, and once with every byte of the checkpoint
inverted. An element that is the same after both was reached by no tensor. And each tensor must be
found, byte for byte or cast to an equal number, in the parameters of its layer. Tensor parallelism
is simulated: the process takes the place of one rank.

Usage: vllm_loader.py JOBS RESULTS. JOBS has a JSON object a line: id, model, devices, rank, draft
(the MTP layer, as vLLM's draft model, instead of the main model). RESULTS gets one each: id, and
`refused` (the exception) or `unread` (tensors that no parameter took) and `unset` (parameters that
no tensor reached).
"""

import collections
import json
import re
import sys
import tempfile
from pathlib import Path

import torch
import vllm_deepseek_v4
import vllm_platform
from vllm.config import set_current_vllm_config
from vllm.distributed import parallel_state
from vllm.engine.arg_utils import EngineArgs
from vllm.model_executor.model_loader.default_loader import DefaultModelLoader
from vllm.model_executor.model_loader.utils import initialize_model
from vllm.utils.torch_utils import set_default_torch_dtype
from vllm_jobs import answer_jobs

POISON = 0xA5
# Parameters of the key/value cache that keep their defaults.
KV_DEFAULTS = ("q_scale", "prob_scale", "q_zero_point", "k_zero_point", "v_zero_point")
KV_SCALES = ("k_scale", "v_scale")  # without tensors they keep theirs, too
PADDED = ("attn_sink",)  # one number a head, made up to 64 heads
# Tensors that count for nothing: vLLM computes the frequencies, and keeps one shape a fused matrix.
SKIPPED = (".rotary_emb.inv_freq", ".weight_shape")
FLOATS = {torch.float32, torch.bfloat16, torch.float16, torch.float8_e8m0fnu}
INTEGERS = {torch.int32, torch.int64}


def raw(tensor):
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8)


def inverted(tensor):
    return (~raw(tensor)).view(tensor.dtype).reshape(tensor.shape)


def layer_of(name):
    found = re.search(r"layers\.(\d+)\.", name)
    return int(found.group(1)) if found else None


class Loader(DefaultModelLoader):
    """Keeps the checkpoint's tensors; the second time it inverts them."""

    def __init__(self, config):
        super().__init__(config)
        self.seen = {}
        self.invert = False

    def get_all_weights(self, model_config, model):
        for name, tensor in super().get_all_weights(model_config, model):
            if not self.invert:
                self.seen[name] = tensor.clone()
            yield name, inverted(tensor) if self.invert else tensor


def engine_config(job):
    options = {}
    if job.get("draft"):
        options["speculative_config"] = {"method": "mtp", "num_speculative_tokens": 1}
    return EngineArgs(model=job["model"], skip_tokenizer_init=True, enforce_eager=True,
                      dtype="bfloat16", max_model_len=256, load_format="safetensors",
                      **options).create_engine_config()


def take_place(config, devices, rank):
    """Makes this process one of several ranks, in the eyes of the code that cuts weights."""
    if not torch.distributed.is_initialized():
        meeting = Path(tempfile.mkdtemp()) / "ranks"
        parallel_state.init_distributed_environment(
            world_size=1, rank=0, local_rank=0, distributed_init_method=f"file://{meeting}",
            backend="gloo")
    parallel_state.destroy_model_parallel()
    parallel_state.initialize_model_parallel(1, 1)
    group = parallel_state.get_tp_group()
    group.world_size, group.rank_in_group = devices, rank
    config.parallel_config.tensor_parallel_size = devices


def special_class(config):
    if config.model_config.hf_config.model_type == "deepseek_v4":
        return vllm_deepseek_v4.model_class()
    return None


def load_twice(job):
    """The parameters after either load, the checkpoint's tensors and config.json's object."""
    config = engine_config(job)
    model_config = config.model_config
    if job.get("draft"):
        model_config = config.speculative_config.draft_model_config
    with set_current_vllm_config(config):
        take_place(config, job.get("devices", 1), job.get("rank", 0))
        with set_default_torch_dtype(torch.bfloat16):
            if job.get("draft"):  # as in serving, the main model is built before it
                initialize_model(vllm_config=config, model_config=config.model_config)
            model = initialize_model(vllm_config=config, model_config=model_config,
                                     model_class=special_class(config))
            for parameter in model.parameters():
                raw(parameter.data).fill_(POISON)
            loader = Loader(config.load_config)
            states = []
            for loader.invert in (False, True):
                loader.load_weights(model, model_config)
                states.append({n: p.detach().clone() for n, p in model.named_parameters()})
    return *states, loader.seen


def unreached(first, second):
    """The share of elements that both loads left the same."""
    if first.numel() == 0 or first.shape != second.shape:
        return 0.0
    size = first.element_size()
    same = (raw(first) == raw(second)).reshape(-1, size).all(1)
    return same.float().mean().item()


def is_weight_only(model):
    """Whether the configuration says that inputs are not quantised."""
    config = json.loads((Path(model) / "config.json").read_text())
    quantization = config.get("quantization_config") or {}
    groups = quantization.get("config_groups") or {}
    algorithm = str(quantization.get("quant_algo", ""))
    if quantization.get("quant_method") == "compressed-tensors":
        return all(group.get("input_activations") is None for group in groups.values())
    return algorithm.startswith("W4A16")


def needs_no_tensor(name, job, seen):
    """Parameters that vLLM creates whatever the checkpoint is to hold."""
    leaf = name.rsplit(".", 1)[-1]
    if leaf in KV_DEFAULTS or leaf in PADDED:
        return True
    if leaf in KV_SCALES:
        return not any(n.endswith((".k_scale", ".v_scale")) for n in seen)
    return is_weight_only(job["model"]) and leaf.endswith(("input_scale", "input_global_scale"))


def pieces(tensor, devices, rank):
    """What a rank may hold of a tensor: all, or an equal share of rows or columns, which several
    ranks may hold where there are fewer shares than ranks."""
    yield tensor
    for shares in (n for n in range(2, devices + 1) if devices % n == 0):
        for dimension, size in enumerate(tensor.shape):
            if size % shares == 0:
                yield tensor.chunk(shares, dimension)[rank * shares // devices]


def holds(name, parameter, blob, piece):
    """Whether a parameter holds these bytes, or the same numbers in another type."""
    if piece.numel() == 1 and "scale" not in name:
        return False  # a number stands in many places by chance
    if raw(piece).numpy().tobytes() in blob:
        return True
    types = {parameter.dtype, piece.dtype}
    if len(types) == 1 or not (types <= FLOATS or types <= INTEGERS):
        return False
    cast = piece.to(parameter.dtype)
    same = torch.equal(cast.double(), piece.double())
    return same and raw(cast).numpy().tobytes() in blob


def is_asked_for(name, job, layers):
    """The main model's tensors, or those of the MTP layer behind them."""
    if name.endswith(SKIPPED):
        return False
    layer = layer_of(name)
    is_mtp = name.startswith("mtp.") or layer is not None and layer >= layers
    return is_mtp == bool(job.get("draft"))


def judge(job):
    first, second, seen = load_twice(job)
    config = json.loads((Path(job["model"]) / "config.json").read_text())
    blobs = {name: raw(parameter).numpy().tobytes() for name, parameter in first.items()}
    by_layer = collections.defaultdict(list)
    for name in first:
        by_layer[layer_of(name)].append(name)

    def is_found(name, tensor):
        candidates = by_layer[layer_of(name)] + by_layer[None]
        return any(holds(candidate, first[candidate], blobs[candidate], piece)
                   for piece in pieces(tensor, job.get("devices", 1), job.get("rank", 0))
                   for candidate in candidates)

    unread = [name for name, tensor in seen.items()
              if is_asked_for(name, job, config["num_hidden_layers"])
              and not is_found(name, tensor)]
    unset = [name for name in first
             if unreached(first[name], second[name]) > 0
             and not needs_no_tensor(name, job, seen)]
    return {"tensors": len(seen), "parameters": len(first), "unread": unread, "unset": unset}


def main(jobs_file, results_file):
    vllm_platform.install()
    answer_jobs(jobs_file, results_file, judge)


if __name__ == "__main__":
    main(*sys.argv[1:])
