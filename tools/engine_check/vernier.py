"""The commands of Vernier that a check needs."""

import json
import subprocess


class Refused(Exception):
    """Vernier ended with an error: its one line."""


class Vernier:
    def __init__(self, binary, threads=1):
        self._binary = str(binary)
        self._threads = str(threads)

    def _run(self, *arguments, allowed=(0,)):
        command = [self._binary, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode in allowed:
            return done.stdout
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise Refused(next((line for line in lines if "VN-" in line), lines[-1]))

    def convert(self, source, output, *options):
        self._run("convert", source, output, *options, "--run-dir", f"{output}.run",
                  "--threads", self._threads, "--progress", "none")

    def dequantize(self, source, output):
        self._run("dequantize", source, output, "--run-dir", f"{output}.run",
                  "--threads", self._threads, "--progress", "none")

    def run(self, recipe):
        self._run("run", recipe, "--threads", self._threads, "--progress", "none")

    def audit(self, checkpoint, engine, devices=1):
        """The report of `validate --json` on how `engine` would read a checkpoint."""
        return json.loads(self._run("validate", checkpoint, "--engine", engine, "--json",
                                    "--tensor-parallel", devices, "--progress", "none",
                                    allowed=(0, 1)))

    def trace(self, checkpoint, ids, out, activations="plain"):
        self._run("trace", checkpoint, "--input-ids", ids, "--out", out, "--dtype", "float32",
                  "--activations", activations, "--threads", self._threads,
                  "--progress", "none")

    def generate(self, checkpoint, prompts, tokens):
        """For each prompt its token ids and those of the greedy continuation."""
        options = [part for prompt in prompts for part in ("--prompt", prompt)]
        text = self._run("generate", checkpoint, *options, "--tokens", tokens, "--json",
                         "--dtype", "float32", "--threads", self._threads, "--progress", "none")
        found = json.loads(text)
        return [(each["prompt_ids"], each["ids"]) for each in found]
