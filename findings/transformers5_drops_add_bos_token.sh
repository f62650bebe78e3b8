#!/usr/bin/env bash
# Seen: transformers 5.24.0 removes add_bos_token and add_eos_token from tokenizer_config.json whenever the directory has
# a tokenizer.json, and leaves the decision to its post-processor. Released tokenizers exist whose post-processor is
# ByteLevel alone, which moves offsets and adds nothing, and which rely on the field (DeepSeek-V3's: tokenizer_class
# LlamaTokenizerFast, add_bos_token true). transformers 4.57.1 gives such a text its BOS, 5.24.0 none, without an error;
# and what 5.24.0 saves again has lost the field, so that nothing in the new files says that the model expects a BOS.
# Why it matters: perplexity and calibration of such a model differ by the version of a library that only reads two
# files. A reader must ask the post-processor whether it decides, and ask the field where it does not.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat > "$work/make.py" <<'PY'
import json, sys
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
vocab = {token: i for i, token in enumerate(["<bos>", "<eos>"] + alphabet)}
tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
tokenizer.add_special_tokens(["<bos>", "<eos>"])
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
tokenizer.save(f"{sys.argv[1]}/tokenizer.json")
json.dump({"bos_token": "<bos>", "eos_token": "<eos>", "add_bos_token": True, "tokenizer_class": "LlamaTokenizerFast"},
          open(f"{sys.argv[1]}/tokenizer_config.json", "w"))
PY

cat > "$work/read.py" <<'PY'
import json, logging, sys
logging.disable(logging.WARNING)
from transformers import AutoTokenizer, __version__

directory, saved = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(directory)
tokenizer.save_pretrained(saved)
kept = "add_bos_token" in json.load(open(f"{saved}/tokenizer_config.json"))
has_bos = tokenizer("ab").input_ids[0] == tokenizer.bos_token_id
print(f"transformers {__version__}: BOS before the text: {has_bos}; field in what it saves: {kept}")
PY

mkdir "$work/model"
for version in 4.57.1 5.24.0; do
  python3 -m venv "$work/$version"
  "$work/$version/bin/pip" install --quiet --disable-pip-version-check "transformers==$version" jinja2
  [ -f "$work/model/tokenizer.json" ] || "$work/$version/bin/python" "$work/make.py" "$work/model"
  "$work/$version/bin/python" "$work/read.py" "$work/model" "$work/saved-$version" 2> /dev/null | tee -a "$work/seen"
done

diff "$work/seen" - <<'EXPECTED'
transformers 4.57.1: BOS before the text: True; field in what it saves: True
transformers 5.24.0: BOS before the text: False; field in what it saves: False
EXPECTED
