"""The jobs: docs/library.md lists their fields and what their summaries hold."""

from __future__ import annotations

import ctypes
import json
import os
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Union, cast

from vernier import _library
from vernier._progress import Event, OnProgress, Progress

Path = Union[str, "os.PathLike[str]"]
Summary = Dict[str, Any]
Recipe = Union[Path, Mapping[str, Any]]

if TYPE_CHECKING:  # at run time they are dictionaries, whose fields the library checks
    from typing_extensions import TypedDict, Unpack

    class RecipeFields(TypedDict, total=False):
        """What stands in place of a recipe's own fields."""

        source: Path
        output: Path
        run_dir: Path
        data: Sequence[Path]
        samples: int
        sequence_length: int
        seed: int
        batch_size: int
        activation_headroom: float
        effort: str
        budget: Union[float, str]
        non_finite: str
        device: str
        device_memory: str
        host_memory: str
        stream_memory: str
        threads: int
        cpu_products: str
        save_interval: float
        kv_cache: str
        command: str

    class RunFields(RecipeFields, total=False):
        """What run and export take further."""

        eval: Sequence[Path]

    class ConvertFields(TypedDict, total=False):
        """What convert takes further."""

        run_dir: Path
        stream_memory: str
        non_finite: str
        threads: int
        kv_cache: str
        weights: str
        method: str
        dialect: str
        input_scale: float
        importance: Path
        recipe: Path
        layouts: Sequence[str]
        validate: bool
        command: str

    class DequantizeFields(TypedDict, total=False):
        """What dequantize takes further."""

        run_dir: Path
        stream_memory: str
        non_finite: str
        threads: int
        command: str

    class ValidateFields(TypedDict, total=False):
        """What validate takes further."""

        engine: str
        tensor_parallel: int
        full: bool
        journal: Path
        report: Path

    class ModelFields(TypedDict, total=False):
        """How a model is run."""

        dtype: str
        device: str
        device_memory: str
        host_memory: str
        batch_size: int
        threads: int
        expert_input_scale: str

    class EvaluateFields(ModelFields, total=False):
        """What evaluate takes further."""

        reference: Path
        data: Sequence[Path]
        input_ids: Path
        tokenizer: Path
        window: int
        stride: int
        windows: int
        bos: str
        chat_format: str
        column: str
        variants: Sequence[str]

    class GenerateFields(ModelFields, total=False):
        """What generate takes further."""

        tokens: int
        activations: str
        tokenizer: Path

    class LayerTestFields(ModelFields, total=False):
        """What layertest takes further."""

        recipe: Path
        input_ids: Path
        samples: int

    class TraceFields(ModelFields, total=False):
        """What trace takes further."""

        out: Path
        perplexity: bool
        activations: str


class _Listener:
    """Stands between the library and a progress function: exceptions may not pass through C."""

    def __init__(self, on_progress: OnProgress) -> None:
        self.on_progress = on_progress
        self.raised: Optional[BaseException] = None
        # Without a function too, so that Python sees a Ctrl-C while a job runs.
        self.function = _library.PROGRESS_FUNCTION(self._hear)

    def _hear(self, _user: object, place: Any) -> int:
        try:
            if self.raised is not None:
                return 1
            if self.on_progress is None:
                return 0
            return 1 if self.on_progress(_progress_of(place.contents)) is False else 0
        except BaseException as error:  # pylint: disable=broad-except
            self.raised = error
            return 1


def _progress_of(struct: _library.ProgressStruct) -> Progress:
    return Progress(
        event=Event(struct.event),
        phase=struct.phase.decode(),
        number=struct.number,
        phases=struct.phases,
        fraction=struct.fraction,
        detail=struct.detail.decode(errors="replace"),
        phase_seconds=struct.phase_seconds,
        job_eta_seconds=struct.job_eta_seconds,
    )


def run_job(job: str, specification: Mapping[str, Any], on_progress: OnProgress = None) -> Summary:
    """Runs any job of docs/library.md with its specification and returns its summary.

    Paths may be of any kind that os.fspath takes, and a field that is None counts as absent.
    """
    listener = _Listener(on_progress)
    summary, error = ctypes.c_void_p(), ctypes.c_void_p()
    status = _library.loaded().vernier_run_job(
        job.encode(),
        json.dumps(dict(specification), default=os.fspath).encode(),
        listener.function,
        None,
        ctypes.byref(summary),
        ctypes.byref(error),
    )
    if listener.raised is not None:
        _library.loaded().vernier_free(summary)
        _library.loaded().vernier_free(error)
        raise listener.raised
    _library.check(status, error)
    return cast(Summary, json.loads(_library.take_text(summary)))


def inspect(checkpoint: Path) -> Summary:
    """What a checkpoint holds, from its headers alone."""
    return run_job("inspect", {"checkpoint": checkpoint})


def recipes(checkpoint: Optional[Path] = None) -> Summary:
    """The recipes that come with Vernier, or those that fit a checkpoint, its default first."""
    return run_job("recipes", {"checkpoint": checkpoint})


def plan(recipe: Optional[Recipe] = None, *, probe: bool = False, **fields: Unpack[RecipeFields]) -> Summary:
    """What would happen to a checkpoint, how big the result is, and how much memory and time it takes."""
    return run_job("plan", {"recipe": recipe, "probe": probe, **fields})


def run(recipe: Optional[Recipe] = None, *, on_progress: OnProgress = None, **fields: Unpack[RunFields]) -> Summary:
    """Calibrates, exports and validates; the same call goes on where an earlier one ended.

    A recipe is a file, the name of one that comes with Vernier, or a dictionary; without one, source gets its default.
    """
    return run_job("run", {"recipe": recipe, **fields}, on_progress)


def calibrate(recipe: Optional[Recipe] = None, *, on_progress: OnProgress = None, **fields: Unpack[RecipeFields]) -> Summary:
    """The first step of run."""
    return run_job("calibrate", {"recipe": recipe, **fields}, on_progress)


def export(recipe: Optional[Recipe] = None, *, on_progress: OnProgress = None, **fields: Unpack[RunFields]) -> Summary:
    """The other steps of run, from a finished calibration alone."""
    return run_job("export", {"recipe": recipe, **fields}, on_progress)


def convert(
    source: Path, output: Path, *, on_progress: OnProgress = None, **fields: Unpack[ConvertFields]
) -> Summary:
    """Converts weights without a calibration."""
    return run_job("convert", {"source": source, "output": output, **fields}, on_progress)


def dequantize(
    source: Path, output: Path, *, on_progress: OnProgress = None, **fields: Unpack[DequantizeFields]
) -> Summary:
    """Writes every quantised weight as BF16."""
    return run_job("dequantize", {"source": source, "output": output, **fields}, on_progress)


def validate(
    checkpoint: Path,
    source: Optional[Path] = None,
    *,
    on_progress: OnProgress = None,
    **fields: Unpack[ValidateFields],
) -> Summary:
    """Audits a quantised checkpoint, against its source if there is one. Defects are no errors: see "clean"."""
    return run_job("validate", {"checkpoint": checkpoint, "source": source, **fields}, on_progress)


def report(run: Path, out: Optional[Path] = None, *, on_progress: OnProgress = None) -> Summary:
    """Writes the HTML page of a run directory or a checkpoint; "page" says where."""
    return run_job("report", {"run": run, "out": out}, on_progress)


def amax(run: Path) -> Summary:
    """The statistics of a run directory, as `vernier amax` prints them (docs/store.md)."""
    return run_job("amax", {"run": run})


def evaluate(checkpoint: Path, *, on_progress: OnProgress = None, **fields: Unpack[EvaluateFields]) -> Summary:
    """Perplexity, and KL divergence from a reference: the job "eval"."""
    return run_job("eval", {"checkpoint": checkpoint, **fields}, on_progress)


def generate(
    checkpoint: Path, prompts: Sequence[str], *, on_progress: OnProgress = None, **fields: Unpack[GenerateFields]
) -> List[Dict[str, Any]]:
    """Continues each prompt with the likeliest tokens."""
    summary = run_job("generate", {"checkpoint": checkpoint, "prompts": list(prompts), **fields}, on_progress)
    return cast(List[Dict[str, Any]], summary["texts"])


def layertest(
    source: Path, quantised: Path, layer: int, *, on_progress: OnProgress = None, **fields: Unpack[LayerTestFields]
) -> Summary:
    """Runs one layer of both checkpoints on real activations and compares what comes out."""
    return run_job("layertest", {"source": source, "quantised": quantised, "layer": layer, **fields}, on_progress)


def trace(
    source: Path, input_ids: Path, *, on_progress: OnProgress = None, **fields: Unpack[TraceFields]
) -> Summary:
    """Runs a model over token ids."""
    return run_job("trace", {"source": source, "input_ids": input_ids, **fields}, on_progress)
