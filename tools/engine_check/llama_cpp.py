"""Logits of a GGUF file by llama.cpp's own library on this CPU.

The library comes prebuilt in an npm package; its C interface in that of Python's llama-cpp-py-sync,
whose own library wants a newer C library than Debian 12 has.
"""

import ctypes

import numpy as np

CONTEXT = 512
_SILENT = {}  # what C calls must stay alive


def use_library(folder):
    """Loads the library and all CPU backends of `folder`, of which it takes the fittest."""
    from llama_cpp_py_sync import _cffi_bindings

    library = str(next(folder.glob("libllama.v*.so")))
    _cffi_bindings._find_library = lambda: library
    ctypes.CDLL(str(folder / "libggml-base.so"), mode=ctypes.RTLD_GLOBAL)
    ggml = ctypes.CDLL(str(next(folder.glob("libggml.v*.so"))), mode=ctypes.RTLD_GLOBAL)
    ffi, lib = _cffi_bindings.ffi, _cffi_bindings.get_lib()
    lib.llama_log_set(_SILENT.setdefault(
        "callback", ffi.callback("ggml_log_callback", lambda *message: None)), ffi.NULL)
    load = ggml.ggml_backend_load_all_from_path
    load.argtypes = [ctypes.c_char_p]
    load(str(folder).encode())


class Model:
    def __init__(self, file):
        from llama_cpp_py_sync.llama import Llama

        self._llama = Llama(str(file), n_ctx=CONTEXT, n_batch=CONTEXT, n_threads=2,
                            flash_attn_type=0)
        self._lib, self._ffi = self._llama._lib, self._llama._ffi
        self._lib.llama_set_embeddings(self._llama._ctx, False)
        vocabulary = self._llama.n_vocab
        self._vocabulary = vocabulary if isinstance(vocabulary, int) else vocabulary()

    def _decode(self, ids, first_position):
        """Logits [len(ids), V] of tokens that follow those decoded before."""
        batch = self._lib.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i] = int(token), first_position + i
            batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = 1, 0, 1
        code = self._lib.llama_decode(self._llama._ctx, batch)
        self._lib.llama_batch_free(batch)
        if code != 0:
            raise RuntimeError(f"llama_decode returned {code}")
        return np.stack([self._row(i) for i in range(len(ids))])

    def _row(self, index):
        row = self._lib.llama_get_logits_ith(self._llama._ctx, index)
        return np.frombuffer(self._ffi.buffer(row, 4 * self._vocabulary), np.float32).copy()

    def _forget(self):
        self._lib.llama_memory_clear(self._lib.llama_get_memory(self._llama._ctx), True)

    def logits(self, ids):
        """[B, S - 1, V] for token ids [B, S]."""
        rows = []
        for row in ids:
            self._forget()
            rows.append(self._decode(row, 0)[:-1])
        return np.stack(rows)

    def greedy(self, prompt, tokens):
        self._forget()
        logits, found = self._decode(prompt, 0)[-1], []
        for position in range(len(prompt), len(prompt) + tokens):
            found.append(int(logits.argmax()))
            logits = self._decode(found[-1:], position)[-1]
        return found
