"""Where a job is."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any, Callable, Optional


class Event(enum.IntEnum):
    """What happened to a phase."""

    BEGINS = 0
    ADVANCES = 1
    ENDS = 2


@dataclasses.dataclass(frozen=True)
class Progress:
    """Where a job is, as its progress function hears it."""

    event: Event
    phase: str  # such as "calibrate"
    number: int  # of the phase among the job's, from 1
    phases: int  # that the job has
    fraction: float  # of the phase, 0 to 1
    detail: str  # such as "layer 3/61"; may be empty
    phase_seconds: float  # since the phase began
    job_eta_seconds: float  # until the whole job ends


# Called often, one call at a time, not always on the thread that began the job. False ends the job as soon as what is
# finished is durable; anything else, None too, lets it go on. What it raises ends the job and comes out of the call.
OnProgress = Optional[Callable[[Progress], Any]]
