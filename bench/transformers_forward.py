#!/usr/bin/env python3
"""Times what a calibration is measured against: transformers' own forward pass of a whole model in
memory, with a hook on every linear layer that keeps the largest absolute value of its input.

    transformers_forward.py MODEL TEXT.jsonl [--samples 32] [--sequence-length 512] [--threads 2]
                            [--dtypes float32,bfloat16] [--batch-sizes 1,4,8] [--repeat 1] [--head]

MODEL: a Hugging Face checkpoint. TEXT.jsonl: objects with "text", packed into sequences. Without --head
the projection onto the vocabulary is left out, which a calibration does not compute either. Prints seconds
of each dtype and batch size, wall and CPU, and last the fastest. Loading and a warm-up batch are not timed.
Needs torch, transformers and a tokenizer.json in MODEL.
"""

import argparse
import json
import os
import resource
import sys
import time


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--sequence-length", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtypes", default="float32,bfloat16")
    parser.add_argument("--batch-sizes", default="1,4,8")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--head", action="store_true", help="with the projection onto the vocabulary")
    return parser.parse_args()


def read_ids(arguments):
    """Token ids [samples, sequence_length]."""
    import torch
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(os.path.join(arguments.model, "tokenizer.json"))
    ids = []
    wanted = arguments.samples * arguments.sequence_length
    with open(arguments.text, encoding="utf-8") as lines:
        for line in lines:
            ids += tokenizer.encode(json.loads(line)["text"]).ids
            if len(ids) >= wanted:
                break
    if len(ids) < wanted:
        sys.exit(f"transformers_forward.py: {arguments.text} has {len(ids)} tokens, not {wanted}")
    return torch.tensor(ids[:wanted]).view(arguments.samples, arguments.sequence_length)


def load(arguments, dtype):
    import transformers

    kind = transformers.AutoModelForCausalLM if arguments.head else transformers.AutoModel
    return kind.from_pretrained(arguments.model, dtype=dtype).eval()


def hook_linear_layers(model):
    """Amax of every linear layer's input, by module."""
    import torch

    amax = {}

    def keep(name):
        def hook(module, inputs):
            seen = inputs[0].abs().amax()
            amax[name] = torch.maximum(amax[name], seen) if name in amax else seen

        return hook

    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(keep(name))
    return amax


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime, usage.ru_stime


def timed(model, ids, batch_size):
    """Wall, user and system seconds of a forward pass of all."""
    wall, (user, system) = time.perf_counter(), cpu_seconds()
    for batch in ids.split(batch_size):
        model(input_ids=batch, use_cache=False)
    user_after, system_after = cpu_seconds()
    return time.perf_counter() - wall, user_after - user, system_after - system


def main():
    arguments = parse_arguments()
    import torch
    import transformers

    torch.set_num_threads(arguments.threads)
    ids = read_ids(arguments)
    results = []
    with torch.inference_mode():
        for dtype in arguments.dtypes.split(","):
            model = load(arguments, getattr(torch, dtype))
            amax = hook_linear_layers(model)
            model(input_ids=ids[:1], use_cache=False)
            for batch_size in map(int, arguments.batch_sizes.split(",")):
                for _ in range(arguments.repeat):
                    wall, user, system = timed(model, ids, batch_size)
                    results.append((wall, dtype, batch_size))
                    print(f"{dtype} batch {batch_size}: {wall:.2f} s wall, {user:.2f} user, {system:.2f} system, "
                          f"{len(amax)} layers", flush=True)
    wall, dtype, batch_size = min(results)
    print(f"fastest: {wall:.2f} s, {dtype}, batch {batch_size}, {ids.numel()} tokens, {arguments.threads} threads, "
          f"torch {torch.__version__}, transformers {transformers.__version__}")


if __name__ == "__main__":
    main()
