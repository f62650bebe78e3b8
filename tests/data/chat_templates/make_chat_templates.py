"""Makes expected.json: each template applied to each case by transformers' apply_chat_template.

The special tokens are those of special_tokens.json. The clock of strftime_now stands still.
"""

import datetime
import json
import os
import pathlib

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
import transformers
from tokenizers import Tokenizer, models
from transformers.utils import chat_template_utils

HERE = pathlib.Path(__file__).parent


class StoppedClock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26)


chat_template_utils.datetime = StoppedClock


def read_json(name):
    return json.loads((HERE / name).read_text(encoding="utf-8"))


def read_templates():
    """Name -> template, or {"default": ..., "tool_use": ...} for those of named_templates.json."""
    # transformers opens a template in text mode, which makes \r\n and \r to \n.
    paths = sorted(HERE.glob("templates/*.jinja"))
    templates = {path.stem: path.read_text(encoding="utf-8") for path in paths}
    for name, parts in read_json("named_templates.json").items():
        templates[name] = {key: templates[part] for key, part in parts.items()}
    return templates


def make_tokenizer(template, special_tokens):
    backend = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, chat_template=template, **special_tokens
    )
    assert tokenizer.special_tokens_map == special_tokens
    return tokenizer


def apply(tokenizer, case):
    try:
        text = tokenizer.apply_chat_template(
            case["messages"],
            tools=case.get("tools"),
            documents=case.get("documents"),
            add_generation_prompt=case.get("add_generation_prompt", False),
            tokenize=False,
            **case.get("kwargs", {}),
        )
    except RecursionError as error:
        # The rest of the message depends on where the depth runs out.
        return {"error": str(error).split(" while ")[0], "type": "RecursionError"}
    except Exception as error:
        return {"error": str(error), "type": type(error).__name__}
    return {"text": text}


def write_member(name, value):
    return f'"{name}": {json.dumps(value, ensure_ascii=False)}'


def main():
    special_tokens = read_json("special_tokens.json")
    cases = read_json("cases.json")
    templates = read_templates()
    assert set(special_tokens) == set(templates), set(special_tokens) ^ set(templates)
    lines = []
    for name, template in templates.items():
        tokenizer = make_tokenizer(template, special_tokens[name])
        results = [write_member(case["name"], apply(tokenizer, case)) for case in cases]
        lines.append(f'"{name}": {{\n' + ",\n".join(results) + "\n}")
    (HERE / "expected.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    counts = f"{len(templates)} templates x {len(cases)} cases"
    print(f"transformers {transformers.__version__}: {counts}")


main()
