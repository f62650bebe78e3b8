"""What the tests share."""

import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "examples" / "mini-deepseek-v4"
# A calibration of another model, whose store has values in files too.
RUN = ROOT / "tests" / "data" / "stores" / "v3" / "finished"
