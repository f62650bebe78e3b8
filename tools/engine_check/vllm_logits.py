"""What vLLM computes from checkpoints: logits of a text and greedy tokens, against Vernier's.

Usage: vllm_logits.py JOBS RESULTS [--quantised-inputs]. JOBS has a JSON object a line: id, model,
ids (a safetensors file with input_ids), trace (what `vernier trace` wrote for them) and greedy
(pairs of a prompt's ids and those of Vernier's continuation). RESULTS gets one each: id, and
`refused` (the exception) or the numbers of agreement.py and `same_tokens`.
"""

import argparse
import gc

import numpy as np
import vllm_platform
from agreement import agreement
from safetensors.numpy import load_file
from vllm import LLM, SamplingParams
from vllm.distributed.parallel_state import cleanup_dist_env_and_memory
from vllm_jobs import answer_jobs

LONGEST = 256


def start(model):
    return LLM(model, skip_tokenizer_init=True, enforce_eager=True, dtype="float32",
               max_model_len=LONGEST, max_num_seqs=2, max_num_batched_tokens=LONGEST,
               enable_prefix_caching=False, disable_log_stats=True)


def keep_logits(llm):
    """The list that all logits which the model computes from now on are added to."""
    kept = []

    def hook(model):
        compute = model.compute_logits

        def compute_and_keep(*given, **more):
            logits = compute(*given, **more)
            kept.append(logits.detach().float().numpy())
            return logits

        model.compute_logits = compute_and_keep

    llm.apply_model(hook)
    return kept


def generate(llm, ids, tokens, **options):
    sampling = SamplingParams(max_tokens=tokens, temperature=0, ignore_eos=True, **options)
    return llm.generate([{"prompt_token_ids": list(map(int, ids))}], sampling, use_tqdm=False)


def text_logits(llm, kept, row):
    """[S - 1, V]: those that predict all tokens but the first, for which they are asked."""
    kept.clear()
    generate(llm, row, 1, prompt_logprobs=1)
    asked = len(row) - 1
    return next(logits for logits in kept if len(logits) >= asked)[:asked]


def continues_alike(llm, prompt, expected):
    output = generate(llm, prompt, max(1, len(expected)))[0].outputs[0]
    return list(output.token_ids)[:len(expected)] == expected


def judge(job):
    llm = start(job["model"])
    try:
        kept = keep_logits(llm)
        ids = load_file(job["ids"])["input_ids"]
        logits = np.stack([text_logits(llm, kept, row) for row in ids])
        result = agreement(logits, load_file(job["trace"])["logits"], ids)
        greedy = job.get("greedy", [])
        return result | {"same_tokens": sum(continues_alike(llm, *pair) for pair in greedy),
                         "prompts": len(greedy)}
    finally:
        llm.llm_engine.engine_core.shutdown()


def tidy_up():
    gc.collect()
    cleanup_dist_env_and_memory()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jobs")
    parser.add_argument("results")
    parser.add_argument("--quantised-inputs", action="store_true")
    arguments = parser.parse_args()
    vllm_platform.install(arguments.quantised_inputs)
    answer_jobs(arguments.jobs, arguments.results, judge, tidy_up)


if __name__ == "__main__":
    main()
