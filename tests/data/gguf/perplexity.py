#!/usr/bin/env python3
"""Perplexity of a GGUF file by llama.cpp, for comparison with `vernier eval --input-ids`.

Usage: perplexity.py LIBRARIES MODEL.gguf IDS.safetensors

LIBRARIES: a directory with prebuilt llama.cpp libraries, such as bins/linux-x64 of npm's
@node-llama-cpp/linux-x64. IDS has windows of token ids, [windows, tokens], as `input_ids`; all but
the first of each are scored. Needs numpy, safetensors and the declarations of PyPI's
llama-cpp-py-sync (its own library is not used: `pip install --no-deps`, cffi, and remove its
libllama.so).
"""

import ctypes
import os
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file


def load_backends(libraries):
    found = sorted(libraries.glob("libllama.*so"))
    os.environ["LLAMA_CPP_LIB"] = str(found[0])
    for name in ["libggml-base.so", *(path.name for path in libraries.glob("libggml.*so"))]:
        library = ctypes.CDLL(str(libraries / name), mode=ctypes.RTLD_GLOBAL)
    library.ggml_backend_load_all_from_path.argtypes = [ctypes.c_char_p]
    library.ggml_backend_load_all_from_path(str(libraries).encode())


def window_nll(model, row, vocabulary):
    lib, ffi, context = model._lib, model._ffi, model._ctx
    lib.llama_memory_clear(lib.llama_get_memory(context), True)
    batch = lib.llama_batch_init(len(row), 0, 1)
    batch.n_tokens = len(row)
    for i, token in enumerate(row):
        batch.token[i], batch.pos[i] = int(token), i
        batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = 1, 0, 1
    if lib.llama_decode(context, batch) != 0:
        sys.exit("perplexity.py: llama_decode failed")
    losses = []
    for i in range(len(row) - 1):
        buffer = ffi.buffer(lib.llama_get_logits_ith(context, i), vocabulary * 4)
        logits = np.frombuffer(buffer, np.float32).astype(np.float64)
        top = logits.max()
        losses.append(top + np.log(np.exp(logits - top).sum()) - logits[int(row[i + 1])])
    lib.llama_batch_free(batch)
    return losses


def main():
    load_backends(Path(sys.argv[1]))
    from llama_cpp_py_sync.llama import Llama

    ids = load_file(sys.argv[3])["input_ids"]
    model = Llama(sys.argv[2], n_ctx=2048, n_batch=2048, n_threads=os.cpu_count(),
                  flash_attn_type=0)
    model._lib.llama_set_embeddings(model._ctx, False)
    size = model.n_vocab if isinstance(model.n_vocab, int) else model.n_vocab()
    losses = [loss for row in ids for loss in window_nll(model, row, size)]
    print(f"scored {len(losses)}, mean NLL {np.mean(losses):.6f}, PPL {np.exp(np.mean(losses)):.6f}")


if __name__ == "__main__":
    main()
