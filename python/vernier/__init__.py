"""Vernier's jobs for Python.

    import vernier

    summary = vernier.inspect("DeepSeek-V4-Flash")
    vernier.convert("DeepSeek-V4-Flash", "DeepSeek-V4-Flash-NVFP4", on_progress=print)

Every job is a function: it returns the job's summary as a dictionary and raises Error with a stable code. Tensors of a
checkpoint or a run come through open_weights and open_statistics. docs/python.md has more.
"""

from vernier._errors import Error, Stopped
from vernier._jobs import (
    amax,
    calibrate,
    convert,
    dequantize,
    evaluate,
    export,
    generate,
    inspect,
    layertest,
    plan,
    recipes,
    report,
    run,
    run_job,
    trace,
    validate,
)
from vernier._library import build, version
from vernier._progress import Event, Progress
from vernier._tensors import Tensor, TensorInfo, Tensors, open_statistics, open_weights

__version__ = version()

__all__ = [
    "Error",
    "Event",
    "Progress",
    "Stopped",
    "Tensor",
    "TensorInfo",
    "Tensors",
    "__version__",
    "amax",
    "build",
    "calibrate",
    "convert",
    "dequantize",
    "evaluate",
    "export",
    "generate",
    "inspect",
    "layertest",
    "open_statistics",
    "open_weights",
    "plan",
    "recipes",
    "report",
    "run",
    "run_job",
    "trace",
    "validate",
    "version",
]
