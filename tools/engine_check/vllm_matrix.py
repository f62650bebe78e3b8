"""Every family in every format: vLLM must load, compute and generate what Vernier does, unless it
is known not to read that format there, which the audit must then say."""

from dataclasses import dataclass, field

from agreement import EQUAL
from vernier import Refused
from vllm_jobs import loader_jobs, loader_trouble

FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "qwen3_moe", "mixtral", "deepseek_v3")
MOE = ("qwen3_moe", "mixtral", "deepseek_v3")
SOME = ("llama", "qwen3_moe", "deepseek_v3")
MODELOPT, CT = "modelopt", "compressed-tensors"

# Format, dialect, families.
FORMATS = (
    ("nvfp4", MODELOPT, FAMILIES),
    ("nvfp4", CT, FAMILIES),
    ("nvfp4_a16", MODELOPT, SOME),
    ("nvfp4_a16", CT, SOME),
    ("mxfp8", MODELOPT, FAMILIES),
    ("mxfp8", CT, SOME),
    ("mxfp4", CT, FAMILIES),
    ("fp8_channel", MODELOPT, FAMILIES),
    ("fp8_channel", CT, FAMILIES),
    ("fp8_block", MODELOPT, SOME),
    ("fp8_block", CT, SOME),
    ("int4", CT, FAMILIES),
)
# Experts have one scale each in vLLM's reader of ModelOpt's FP8.
REFUSED = {(family, number_format, MODELOPT) for family in MOE
           for number_format in ("fp8_channel", "fp8_block")}

# The output whose inputs are quantised, too, and the least share of tokens that must then be equal:
# a value that both compute on the two sides of a rounding boundary changes all tokens behind it.
WITH_INPUTS = ("nvfp4", MODELOPT)
LEAST_EQUAL = 0.05

DEVICES = (1, 2)
PROMPTS = ("The quick brown fox jumps over the lazy dog", "12 + 7 is")
TOKENS = 8


@dataclass
class Row:
    family: str
    number_format: str
    dialect: str
    model: object = None
    refused: str = ""  # why Vernier writes no such checkpoint
    audits: dict = field(default_factory=dict)  # errors by the number of devices
    logits_job: dict | None = None
    inputs_job: dict | None = None  # the same with quantised inputs

    @property
    def key(self):
        return f"{self.family} {self.number_format} {self.dialect}"


def _errors(report):
    return [finding for finding in report["findings"] if finding["severity"] == "error"]


def prepare(workshop, engine, families, formats):
    """Makes the outputs of the matrix, their audits, traces and continuations."""
    rows = []
    for number_format, dialect, every in FORMATS:
        for family in every:
            if family in families and number_format in formats:
                rows.append(_prepare_row(workshop, engine, Row(family, number_format, dialect)))
    return rows


def _prepare_row(workshop, engine, row):
    vernier = workshop.vernier
    try:
        row.model = workshop.output(row.family, row.number_format, row.dialect)
    except Refused as refusal:
        row.refused = str(refusal)
        return row
    row.audits = {n: _errors(vernier.audit(row.model, engine, n)) for n in DEVICES}
    if row.audits[1]:
        return row
    trace = row.model.parent / (row.model.name + ".trace")
    vernier.trace(row.model, workshop.text, trace)
    greedy = vernier.generate(row.model, PROMPTS, TOKENS)
    row.logits_job = {"id": row.key, "model": str(row.model), "ids": str(workshop.text),
                      "trace": str(trace), "greedy": greedy}
    if (row.number_format, row.dialect) == WITH_INPUTS:
        with_inputs = trace.with_suffix(".quantised")
        vernier.trace(row.model, workshop.text, with_inputs, "quantised")
        row.inputs_job = row.logits_job | {"trace": str(with_inputs), "greedy": []}
    return row


def jobs(rows):
    """Those of the loader, those that compare logits, and those with quantised inputs."""
    written = [row for row in rows if row.model]
    loads = [job for row in written for n in DEVICES for job in loader_jobs(row.key, row.model, n)]
    return (loads, [row.logits_job for row in written if row.logits_job],
            [row.inputs_job for row in written if row.inputs_job])


def _differences(row, loads, logits):
    """What is wrong, as texts."""
    expected = (row.family, row.number_format, row.dialect) in REFUSED
    if row.refused:
        return [] if expected else [f"Vernier does not write it: {row.refused}"]
    found = []
    for devices in DEVICES:
        trouble = loader_trouble(loads, row.key, devices)
        errors = row.audits[devices]
        where = f"over {devices} devices " if devices > 1 else ""
        if trouble and not errors:
            found.append(f"{where}the audit is content, vLLM {trouble}")
        if errors and not trouble:
            found.append(f"{where}vLLM loads it, the audit has {errors[0]['rule']}: "
                         f"{errors[0]['what']}")
    if row.audits[1] and not expected:
        found.append(f"the audit has {row.audits[1][0]['rule']}: {row.audits[1][0]['what']}")
    return found + _computed_differences(logits.get(row.key))


def _computed_differences(result):
    if result is None:
        return []
    if "refused" in result:
        return ["vLLM does not run it: " + result["refused"]]
    found = []
    if not result["kl"] < EQUAL or result["top1"] < 1:
        found.append(f"logits differ: KL {result['kl']:.2g}, top-1 {result['top1']:.2%}")
    if result["same_tokens"] < result["prompts"]:
        found.append(f"greedy tokens differ after {result['prompts'] - result['same_tokens']} of "
                     f"{result['prompts']} prompts")
    return found


def _cell(row, loads, logits):
    """KL; what is refused is so in agreement with the audit, or in _differences."""
    if row.refused:
        return "not written"
    if loader_trouble(loads, row.key):
        return "refused"
    kl = logits.get(row.key, {}).get("kl")
    text = "loads" if kl is None else f"{kl:.1e}"
    return text + (", 1 device" if loader_trouble(loads, row.key, DEVICES[-1]) else "")


def _inputs_cell(result):
    """The share of equal tokens, and what is wrong."""
    if "refused" in result:
        return "**differs**", "vLLM does not run it: " + result["refused"]
    share = f"{result['equal']:.0%} of tokens"
    if result["equal"] >= LEAST_EQUAL:
        return share, ""
    return share + " **differs**", f"{share} are equal, KL {result['kl']:.2g}"


def table(rows, loads, logits, inputs):
    """Lines of Markdown, a format a line, and the differences."""
    differences, cells = [], {}
    for row in rows:
        wrong = _differences(row, loads, logits)
        differences += [f"{row.key}: {text}" for text in wrong]
        text = _cell(row, loads, logits) + (" **differs**" if wrong else "")
        cells.setdefault(f"{row.number_format}, {row.dialect}", {})[row.family] = text
    for row in (row for row in rows if row.key in inputs):
        text, wrong = _inputs_cell(inputs[row.key])
        differences += [f"{row.key}, inputs quantised: {wrong}"] if wrong else []
        cells.setdefault("the first, inputs quantised", {})[row.family] = text
    families = [family for family in FAMILIES if any(family in line for line in cells.values())]
    lines = ["| format, dialect | " + " | ".join(families) + " |",
             "|---" * (1 + len(families)) + "|"]
    for name, line in cells.items():
        texts = [name, *(line.get(family, "") for family in families)]
        lines.append("| " + " | ".join(texts) + " |")
    return lines if rows else [], differences
