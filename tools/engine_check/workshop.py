"""Makes what is checked: models, and Vernier's outputs of them. Each is made once."""

import hashlib
import json
import sys
from pathlib import Path

import small_models
from vernier import Refused

MLPS = ["dense_mlp", "shared_expert", "routed_expert"]
# Rules of a recipe, where one format for all does not say it.
RULES = {
    "mixed": [{"role": "attention", "format": "fp8"}, {"role": MLPS, "format": "nvfp4"}],
}
EXPERTS = [{"role": "routed_expert", "format": "nvfp4", "scale": "lossless"}]
INPUT_SCALE = 0.0123  # no value that other tensors have

MTP_SUFFIX = "_mtp"
EXAMPLE = "deepseek_v4"  # the family of the repository's example model


# What `vernier convert` is asked for, where that is not the format's name alone. nvfp4 here has
# quantised inputs.
OPTIONS = {
    "nvfp4": ("--weights", "nvfp4", "--input-scale", INPUT_SCALE),
    "nvfp4_a16": ("--weights", "nvfp4"),
}


def say(text):
    print(text, file=sys.stderr, flush=True)


class Workshop:
    def __init__(self, directory, vernier, example):
        """`example`: the directory of the repository's example model; others take its tokenizer."""
        self.directory = Path(directory)
        self.vernier = vernier
        self.text = self.directory / "text.safetensors"
        self._example = Path(example)
        self._refusals = {}
        if not self.text.exists():
            self.directory.mkdir(parents=True, exist_ok=True)
            small_models.make_text(self.text)

    def model(self, family, changes=None):
        """The directory of a random model, of `family` or of `family`_mtp."""
        if family == EXAMPLE:
            return self._example
        key = family
        if changes:
            key += "-" + hashlib.sha256(json.dumps(changes).encode()).hexdigest()[:8]
        directory = self.directory / "models" / key
        if not directory.exists():
            say(f"model {key}")
            plain = family.removesuffix(MTP_SUFFIX)
            small_models.make_model(directory, plain, self._example, changes)
            if family != plain:
                small_models.add_mtp_layer(directory)
        return directory

    def output(self, family, number_format, dialect, changes=None):
        """The directory of Vernier's output; raises Refused where Vernier writes none."""
        return self.output_of(self.model(family, changes), number_format, dialect, family)

    def output_of(self, source, number_format, dialect, family=""):
        """The same of a checkpoint."""
        directory = self.directory / "outputs" / f"{source.name}-{number_format}-{dialect}"
        if directory in self._refusals:
            raise self._refusals[directory]
        if directory.exists():
            return directory
        say(f"output {directory.name}")
        try:
            self.vernier.convert(source, directory, *self._options(family, number_format, dialect))
        except Refused as refusal:
            self._refusals[directory] = refusal
            raise
        return directory

    def _options(self, family, number_format, dialect):
        rules = EXPERTS if family == EXAMPLE else RULES.get(number_format)
        if rules is None:
            options = OPTIONS.get(number_format, ("--weights", number_format))
            return *options, "--dialect", dialect
        recipe = self.directory / f"{family}-{number_format}-{dialect}.json"
        # `convert` gives the places itself.
        recipe.write_text(json.dumps({
            "version": 1, "source": ".", "output": "unused", "quantize": rules,
            "activations": INPUT_SCALE}))
        return "--recipe", recipe
