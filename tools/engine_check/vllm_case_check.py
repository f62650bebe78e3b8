"""Holds each verdict of the audit on a damaged checkpoint against vLLM's loader."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import cases_configurations
import cases_models
import cases_tensors
from agreement import EQUAL
from case import Case
from corrupted import Checkpoint
from vernier import Refused
from vllm_jobs import loader_jobs, loader_trouble


@dataclass
class Tried:
    case: Case
    model: Path | None = None
    trace: Path | None = None  # of a case that logits show
    refused: str = ""  # why Vernier writes no such checkpoint
    findings: list = field(default_factory=list)  # of the audit

    @property
    def key(self):
        return "case " + self.case.name

    def accusations(self):
        return [f"{found['rule']} {found['severity']}" for found in self.findings
                if found["severity"] != "info" or found["rule"] in self.case.rules]


def _find(workshop, engine, case, directory):
    family, number_format, dialect = case.output.split()
    tried = Tried(case)
    try:
        output = workshop.output(family, number_format, dialect, case.changes)
    except Refused as refusal:
        tried.refused = str(refusal)
        return tried
    checkpoint = Checkpoint(output, workshop.model(family, case.changes))
    case.edit(checkpoint)
    shutil.rmtree(directory, ignore_errors=True)
    checkpoint.write(directory)
    report = workshop.vernier.audit(directory, engine, case.devices)
    tried.model = directory
    if case.computed:
        tried.trace = directory / "trace"
        workshop.vernier.trace(directory, workshop.text, tried.trace)
    tried.findings = report["findings"]
    return tried


def prepare(workshop, engine, wanted=""):
    """Makes and audits the cases whose name holds `wanted`."""
    modules = (cases_tensors, cases_configurations, cases_models)
    cases = [case for module in modules for case in module.cases() if wanted in case.name]
    return [_find(workshop, engine, case, workshop.directory / "cases" / str(number))
            for number, case in enumerate(cases)]


def jobs(every, text):
    """Those of the loader, and those that compare the logits of `text`."""
    made = [each for each in every if each.model]
    loads = [job for each in made if not each.trace
             for job in loader_jobs(each.key, each.model, each.case.devices, each.case.draft)]
    return loads, [{"id": each.key, "model": str(each.model), "ids": str(text),
                    "trace": str(each.trace)} for each in made if each.trace]


def _trouble(tried, loads, logits):
    """In words, what vLLM does that it should not; empty for nothing."""
    if tried.refused:
        return ""
    if not tried.trace:
        return loader_trouble(loads, tried.key, tried.case.devices)
    result = logits[tried.key]
    if "refused" in result:
        return "refuses: " + result["refused"]
    return "" if result["kl"] < EQUAL else f"computes otherwise (KL {result['kl']:.2g})"


def _difference(tried, trouble):
    """Where audit and engine part, in words; empty where they do not."""
    case = tried.case
    if tried.refused:
        return "" if case.rules else f"Vernier does not write it: {tried.refused}"
    is_named = any(found["rule"] in case.rules for found in tried.findings)
    said = ", ".join(sorted(set(tried.accusations()))) or "content"
    if trouble and case.harmless:
        return f"taken for harmless, but vLLM {trouble}"
    if trouble and not is_named:
        return f"vLLM {trouble}; the audit is: {said}"
    if not trouble and case.harmless:
        return "" if is_named else f"the audit has no {' or '.join(case.rules)}"
    if not trouble and (case.rules or "error" in said or "warning" in said):
        return f"vLLM loads every byte; the audit is: {said}"
    return ""


def _line(tried, trouble, wrong):
    audit = ", ".join(sorted(set(tried.accusations()))) or "content"
    engine = trouble or "loads every byte"
    if tried.refused:
        audit, engine = "not written", ""
    elif tried.case.harmless and not trouble:
        engine += f" ({tried.case.harmless})"
    verdict = "**differ**" if wrong else "agree"
    return f"| {tried.case.name} | {audit} | {engine.replace('|', ' ')[:120]} | {verdict} |"


def _by_rule(every, differing):
    """How many cases each rule has, and of how many the engine says what it does."""
    lines = ["| rule | cases | agree |", "|---|---|---|"]
    rules = sorted({rule for tried in every for rule in tried.case.rules})
    for rule in [*rules, "sound"]:
        cases = [tried for tried in every
                 if rule in tried.case.rules or rule == "sound" and not tried.case.rules]
        if cases:
            agree = sum(tried.key not in differing for tried in cases)
            lines.append(f"| {rule} | {len(cases)} | {agree} |")
    return lines


def table(every, loads, logits, is_full):
    """Lines of Markdown, of each case or of each rule, and the differences."""
    lines = ["| checkpoint | audit | vLLM | verdict |", "|---|---|---|---|"]
    differing = {}
    for tried in every:
        trouble = _trouble(tried, loads, logits)
        wrong = _difference(tried, trouble)
        if wrong:
            differing[tried.key] = f"{tried.case.name}: {wrong}"
        lines.append(_line(tried, trouble, wrong))
    if not is_full:
        lines = _by_rule(every, differing)
    return lines if every else [], list(differing.values())
