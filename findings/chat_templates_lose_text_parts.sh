#!/usr/bin/env bash
# Seen: with transformers 5.24.0 a user message in OpenAI's form of parts, {"content": [{"type": "text", "text": "Hello"}]},
# becomes an empty turn under Qwen3's published chat template; Llama 3.1's template writes the list
# as Python prints it, quotes and keys included. None raises an error or warns. (Templates as trl 1.16.0 packs them.)
# Why it matters: agent traces and logged API traffic have this form. A calibration or a fine-tuning on them sees empty
# prompts, or Python source, and nothing says so. Inference engines look at the template and join the parts first; who
# calls apply_chat_template directly must do the same.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q transformers==5.24.0 jinja2==3.1.6
"$work/venv/bin/pip" install -q --no-deps --target "$work/trl" trl==1.16.0

cat > "$work/render.py" <<'PY'
import logging, pathlib, sys
logging.disable(logging.WARNING)
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

PARTS = [{"type": "text", "text": "Hello"}]

def render(template, content):
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"x": 0}, unk_token="x")), chat_template=template
    )
    text = tokenizer.apply_chat_template([{"role": "user", "content": content}], tokenize=False)
    return text[text.rindex("user"):]

wanted = {
    "qwen3": "user\n<|im_end|>\n",
    "llama3_1": f"user<|end_header_id|>\n\n{PARTS}<|eot_id|>",
}
changed = False
for name, text in wanted.items():
    template = pathlib.Path(sys.argv[1], "trl/chat_templates", f"{name}.jinja").read_text()
    got = render(template, PARTS)
    print(f"{name}: text {render(template, 'Hello')!r}, parts {got!r}")
    changed |= got != text
sys.exit(changed)
PY
"$work/venv/bin/python" "$work/render.py" "$work/trl" || { echo "This has changed."; exit 1; }
echo "As seen: one template loses the text of parts, another prints them as Python does."
