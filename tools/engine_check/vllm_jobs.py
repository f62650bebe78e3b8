"""Runs vllm_loader.py and vllm_logits.py, each as a process for all of its jobs."""

import json
import os
import subprocess
import sys
from pathlib import Path

from vllm_environment import SETTINGS
from workshop import say

HERE = Path(__file__).resolve().parent


def run_jobs(script, jobs, directory, *options):
    """Results by the id of the job. A process that dies is an error of the check itself."""
    if not jobs:
        return {}
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    name = "".join([script, *options])
    jobs_file, results_file = directory / f"{name}.jobs", directory / f"{name}.results"
    jobs_file.write_text("".join(json.dumps(job) + "\n" for job in jobs))
    say(f"{name}: {len(jobs)} jobs")
    with open(directory / f"{name}.log", "w") as log:
        command = [sys.executable, HERE / f"{script}.py", jobs_file, results_file, *options]
        code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT,
                              env=SETTINGS | os.environ).returncode
    results = [json.loads(line) for line in results_file.read_text().splitlines()]
    if code != 0 or len(results) != len(jobs):
        raise SystemExit(f"{name} ended with {code} after {len(results)} of {len(jobs)} jobs: "
                         f"see {directory / name}.log")
    return {result.pop("id"): result for result in results}


def answer_jobs(jobs_file, results_file, judge, tidy_up=lambda: None):
    """What such a process does: a line of results for each job, of what `judge` makes of it."""
    with open(jobs_file) as jobs, open(results_file, "w") as results:
        for job in map(json.loads, jobs):
            try:
                result = judge(job)
            except Exception as error:  # whatever vLLM raises is its answer
                text = " ".join(str(error).split())
                result = {"refused": f"{type(error).__name__}: {text[:300]}".rstrip(": ")}
            results.write(json.dumps({"id": job["id"]} | result) + "\n")
            results.flush()
            tidy_up()


def trouble(result):
    """In words, what a loader's result complains of; empty for nothing."""
    if "refused" in result:
        return "refuses: " + result["refused"]
    parts = []
    for kind, words in (("unread", "takes no notice of"), ("unset", "leaves unset")):
        names = result[kind]
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            parts.append(f"{words} {names[0]}{more}")
    return "; ".join(parts)


def loader_jobs(key, model, devices=1, draft=False):
    """The first and the last rank stand for all."""
    return [{"id": f"{key}#{devices}#{rank}", "model": str(model), "devices": devices,
             "rank": rank, "draft": draft} for rank in sorted({0, devices - 1})]


def loader_trouble(results, key, devices=1):
    found = (trouble(results[f"{key}#{devices}#{rank}"]) for rank in sorted({0, devices - 1}))
    return next(filter(None, found), "")
