"""Runs llama.cpp's convert_hf_to_gguf.py: llama_cpp_convert.py SOURCE_OF_LLAMA_CPP ARGUMENT...

It knows tokenizers by a hash of what they do to a text. That of the repository's example model is
DeepSeek-V3's in a smaller vocabulary, whose hash it does not know.
"""

import os
import runpy
import sys

source = sys.argv[1]
os.chdir(source)
sys.path[:0] = [source, os.path.join(source, "gguf-py")]

from conversion.base import TextModel  # noqa: E402

known = TextModel.get_vocab_base_pre


def pre_tokenizer(self, tokenizer):
    try:
        return known(self, tokenizer)
    except NotImplementedError:
        return "deepseek-v3"


TextModel.get_vocab_base_pre = pre_tokenizer
sys.argv = ["convert_hf_to_gguf.py", *sys.argv[2:]]
runpy.run_path("convert_hf_to_gguf.py", run_name="__main__")
