"""What functions raise."""

from __future__ import annotations

import json


class Error(Exception):
    """A job's error; str() is the one line that the command prints.

    Codes are stable: docs/errors.md lists them.
    """

    def __init__(self, code: str, meaning: str, subject: str, problem: str, remedy: str, message: str) -> None:
        super().__init__(message)
        self.code = code  # "VN-CKPT-003"
        self.meaning = meaning  # of the code, whatever the occasion
        self.subject = subject  # the file, tensor or field at fault
        self.problem = problem
        self.remedy = remedy

    @classmethod
    def from_json(cls, text: str) -> Error:
        """From the object that the library hands over."""
        return cls(**json.loads(text))


class Stopped(Error):
    """The progress function asked the job to stop, and it did. What is finished is kept: the same call goes on."""
