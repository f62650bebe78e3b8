"""Writes post_processors.json: the forms in which tokenizer.json says what stands around a text,
put into tokenizers of this folder, and what tokenizers 0.23 makes of texts with them.

Usage: make_post_processors.py
"""

import json

from tokenizers import Tokenizer
from tokenizers.processors import (BertProcessing, ByteLevel, RobertaProcessing, Sequence,
                                   TemplateProcessing)

from golden import FOLDER, read, write


def template(single, *special_tokens):
    return TemplateProcessing(single=single, special_tokens=list(special_tokens))


def forms(bos, eos):
    """`bos` and `eos`: a token and its id each."""
    b, e = bos[0], eos[0]
    two = {"id": "both", "ids": [eos[1], bos[1]], "tokens": [e, b]}
    return {
        "none": None,
        "byte_level": ByteLevel(trim_offsets=False),
        "bert": BertProcessing(eos, bos),
        "roberta": RobertaProcessing(eos, bos, trim_offsets=True, add_prefix_space=False),
        "nothing": template("$A"),
        "prefix": template(f"{b} $A", bos),
        "suffix": template(f"$A {e}", eos),
        "prefix_and_suffix": template(f"{b}:0 $A:0 {e}:0", bos, eos),
        "two_before": template(f"{e} {b} $A", bos, eos),
        "one_of_two_ids": template("both $0", two),
        "same_around": template(f"{e} $A {e}", eos),
        "sequence": Sequence([ByteLevel(trim_offsets=False), template(f"{b} $A", bos)]),
        "sequence_other_way": Sequence([template(f"$A {e}", eos), ByteLevel()]),
        "sequence_of_bert": Sequence([Sequence([ByteLevel()]), BertProcessing(eos, bos)]),
        "empty_sequence": Sequence([]),
    }


def texts(bos, eos):
    b, e = bos[0], eos[0]
    return ["Hello world", " two  spaces\n", "caf\u00e9 \u4f60\u597d", f"a{b}b{e}c", f"{b}Hello",
            f"Hello{e}", f"{b}Hello{e}", b, e, f"{e}{b}Hello", f"{b}{b}", f"{e}Hello{e}"]


def rows(tokenizer, some_texts):
    return [{"text": text, "ids": tokenizer.encode(text, add_special_tokens=False).ids,
             "with_special_tokens": tokenizer.encode(text).ids} for text in some_texts]


def main():
    cases = []
    for name, bos, eos in (("smollm2_1000_merges", "<|im_start|>", "<|im_end|>"),
                           ("sentencepiece_mistral", "<s>", "</s>")):
        file = read(FOLDER / name / "tokenizer.json")
        plain = Tokenizer.from_str(json.dumps(file))
        tokens = [(token, plain.token_to_id(token)) for token in (bos, eos)]
        for form, processor in forms(*tokens).items():
            tokenizer = Tokenizer.from_str(json.dumps(file))
            if processor is not None:
                tokenizer.post_processor = processor
            cases.append({"name": f"{name}_{form}", "tokenizer": name,
                          "post_processor": json.loads(tokenizer.to_str())["post_processor"],
                          "rows": rows(tokenizer, texts(*tokens))})
    write(FOLDER / "post_processors.json", cases)


if __name__ == "__main__":
    main()
