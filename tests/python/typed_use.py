"""What a program writes, and what a type checker must find wrong (an ignore that is not needed is an error)."""

from pathlib import Path

import vernier


def stop_at_half(progress: vernier.Progress) -> bool:
    return progress.fraction < 0.5


vernier.run("recipe.json", samples=32, data=[Path("a.jsonl")], budget="24GiB", on_progress=stop_at_half)
vernier.run({"version": 1}, budget=5.0, on_progress=print)
vernier.run("recipe.json", sample=32)  # type: ignore[call-arg]
vernier.run("recipe.json", samples="32")  # type: ignore[arg-type]
vernier.convert("a")  # type: ignore[call-arg]
vernier.validate("a", "b", tensor_parallel="8")  # type: ignore[arg-type]

with vernier.open_weights("a") as weights:
    for name in weights:
        tensor = weights.read(name, rows=(0, 1))
        shape: str = weights[name].shape  # type: ignore[assignment]
