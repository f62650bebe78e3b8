"""A copy of a checkpoint that can be damaged: its tensors and both of its configurations."""

import fnmatch
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

FILE_CONFIG = "hf_quant_config.json"


def load_tensors(directory):
    tensors = {}
    for shard in sorted(Path(directory).glob("*.safetensors")):
        tensors |= load_file(shard)
    return tensors


class Checkpoint:
    def __init__(self, directory, source):
        """`source`: the directory of the model that the checkpoint was made from."""
        self.directory = Path(directory)
        self._source = Path(source)
        self.tensors = load_tensors(self.directory)
        self.config = self._read("config.json")
        self.file_config = self._read(FILE_CONFIG)

    def _read(self, name):
        file = self.directory / name
        return json.loads(file.read_text()) if file.exists() else None

    def source_tensors(self):
        return load_tensors(self._source)

    @property
    def quantization(self):
        return self.config["quantization_config"]

    def write(self, directory):
        """As one shard; what else lies beside it is copied."""
        directory = Path(directory)
        directory.mkdir(parents=True)
        for file in self.directory.iterdir():
            is_shard = file.suffix == ".safetensors" or file.name.endswith(".index.json")
            if file.is_file() and not is_shard:
                shutil.copy(file, directory)
        tensors = {name: value.contiguous() for name, value in self.tensors.items()}
        save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
        (directory / "config.json").write_text(json.dumps(self.config, indent=1))
        if self.file_config is None:
            (directory / FILE_CONFIG).unlink(missing_ok=True)
        else:
            (directory / FILE_CONFIG).write_text(json.dumps(self.file_config, indent=1))

    def named(self, pattern):
        found = fnmatch.filter(self.tensors, pattern)
        assert found, f"no tensor is named {pattern}"
        return found

    def drop(self, *patterns):
        for pattern in patterns:
            for name in self.named(pattern):
                del self.tensors[name]

    def move(self, old, new):
        for name in self.named(f"*{old}*"):
            self.tensors[name.replace(old, new)] = self.tensors.pop(name)

    def change(self, pattern, function):
        for name in self.named(pattern):
            self.tensors[name] = function(self.tensors[name])

    def plain(self, *modules):
        """Puts the source's tensors in the place of quantised modules'."""
        source = self.source_tensors()
        for pattern in modules:
            self.drop(pattern + ".*")
            for name in fnmatch.filter(source, pattern + ".*"):
                self.tensors[name] = source[name]

    def nvfp4(self, module):
        """Random NVFP4 in ModelOpt's names in the place of a plain weight."""
        rows, columns = self.tensors.pop(module + ".weight").shape
        generator = torch.Generator().manual_seed(5)
        codes = torch.randint(0, 256, (rows, columns // 2), generator=generator)
        scales = torch.rand((rows, columns // 16), generator=generator) + 0.5
        self.tensors |= {
            module + ".weight": codes.to(torch.uint8),
            module + ".weight_scale": scales.to(torch.float8_e4m3fn),
            module + ".weight_scale_2": torch.tensor(0.01),
            module + ".input_scale": torch.tensor(0.01),
        }

    def exclude(self, *patterns):
        self.quantization["ignore"] = [*self.quantization["ignore"], *patterns]
        self._follow()

    def include(self, *patterns):
        kept = [entry for entry in self.quantization["ignore"] if entry not in patterns]
        assert len(kept) < len(self.quantization["ignore"]), patterns
        self.quantization["ignore"] = kept
        self._follow()

    def _follow(self):
        if self.file_config is not None:
            exclusions = list(self.quantization["ignore"])
            self.file_config["quantization"]["exclude_modules"] = exclusions

    def set_algorithm(self, name):
        self.quantization["quant_algo"] = name
        self.file_config["quantization"]["quant_algo"] = name
