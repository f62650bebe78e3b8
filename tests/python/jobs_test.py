"""Jobs: summaries, progress, errors, and fields that agree with the library's."""

import inspect as reflection
import json
import re
import signal
import tempfile
import threading
import typing
import unittest
from pathlib import Path
from typing import Any, List

import vernier
from vernier import _jobs

from support import MODEL, ROOT, RUN


class Jobs(unittest.TestCase):
    def test_inspect_counts_what_the_config_says(self) -> None:
        config = json.loads((MODEL / "config.json").read_text())
        summary = vernier.inspect(MODEL)
        self.assertEqual(summary["layers"], config["num_hidden_layers"])
        self.assertEqual(summary["missing"], [])

    def test_plan_takes_a_recipe_as_a_file_and_as_a_dictionary(self) -> None:
        path = ROOT / "recipes" / "quickstart.json"
        lines = [line for line in path.read_text().splitlines() if not line.strip().startswith("//")]
        recipe = json.loads("\n".join(lines))
        recipe["source"] = str(MODEL)
        recipe["calibration"]["data"][0]["path"] = str(ROOT / "datasets/samples/postgresql-sqlite-docs.jsonl")
        with tempfile.TemporaryDirectory() as folder:
            places = {"output": Path(folder) / "out", "run_dir": Path(folder) / "run"}
            from_file = vernier.plan(path, **places)
            from_dictionary = vernier.plan(recipe, **places)
        self.assertGreater(from_file["calibration"]["host_peak_bytes"], 0)
        self.assertEqual(from_file["total"], from_dictionary["total"])

    def test_amax_is_what_the_run_observed(self) -> None:
        summary = vernier.amax(RUN)
        self.assertTrue(summary["finished"])
        self.assertTrue(all(row["amax"] > 0 for row in summary["inputs"] if row["tokens"] > 0))

    def test_validate_finds_that_nothing_says_how_weights_are_stored(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "out"
            vernier.convert(MODEL, out, input_scale=1.0)
            self.assertTrue(vernier.validate(out, MODEL)["clean"])
            (out / "hf_quant_config.json").unlink()
            config = json.loads((out / "config.json").read_text())
            del config["quantization_config"]
            (out / "config.json").write_text(json.dumps(config))
            self.assertFalse(vernier.validate(out, MODEL)["clean"])

    def test_paths_with_other_letters(self) -> None:
        with tempfile.TemporaryDirectory(suffix="größe 模型") as folder:
            self.assertIn("größe 模型", vernier.dequantize(MODEL, Path(folder) / "out")["output"])

    def test_version_is_the_build_s(self) -> None:
        self.assertEqual(vernier.build()["version"], vernier.__version__)
        declared = re.search(r"project\(vernier VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text())
        assert declared
        self.assertEqual(vernier.version(), declared.group(1))


class ProgressFunctions(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = Path(folder.name) / "out"

    def test_hears_a_phase_from_its_beginning_to_its_end(self) -> None:
        heard: List[vernier.Progress] = []
        vernier.dequantize(MODEL, self.out, on_progress=heard.append)
        self.assertEqual(heard[0].event, vernier.Event.BEGINS)
        self.assertEqual(heard[-1].event, vernier.Event.ENDS)
        self.assertEqual(heard[-1].fraction, 1.0)
        self.assertEqual({progress.phase for progress in heard}, {"export"})
        fractions = [progress.fraction for progress in heard]
        self.assertEqual(fractions, sorted(fractions))

    def test_false_stops_and_the_same_call_goes_on(self) -> None:
        with self.assertRaises(vernier.Stopped) as stopped:
            vernier.dequantize(MODEL, self.out, on_progress=lambda _: False)
        self.assertEqual(stopped.exception.code, "VN-RUN-001")
        self.assertFalse((self.out / "vernier_manifest.json").exists())
        vernier.dequantize(MODEL, self.out)
        self.assertTrue((self.out / "vernier_manifest.json").exists())

    def test_what_it_raises_comes_out(self) -> None:
        def fail(_: vernier.Progress) -> None:
            raise KeyError("mine")

        with self.assertRaisesRegex(KeyError, "mine"):
            vernier.dequantize(MODEL, self.out, on_progress=fail)

    def test_a_ctrl_c_ends_a_job(self) -> None:
        def interrupt(_: vernier.Progress) -> None:
            if threading.current_thread() is threading.main_thread():
                signal.raise_signal(signal.SIGINT)

        with self.assertRaises(KeyboardInterrupt):
            vernier.dequantize(MODEL, self.out, on_progress=interrupt)
        self.assertFalse((self.out / "vernier_manifest.json").exists())

    def test_other_threads_run_meanwhile(self) -> None:
        went_on = threading.Event()
        reached = threading.Event()

        def wait(_: vernier.Progress) -> None:
            reached.set()
            self.assertTrue(went_on.wait(30))

        def other() -> None:
            reached.wait(30)
            vernier.inspect(MODEL)  # a job beside the job
            went_on.set()

        thread = threading.Thread(target=other)
        thread.start()
        vernier.dequantize(MODEL, self.out, on_progress=wait)
        thread.join()


class Errors(unittest.TestCase):
    def test_have_the_code_and_its_parts(self) -> None:
        with self.assertRaises(vernier.Error) as raised:
            vernier.inspect("/nowhere")
        error = raised.exception
        self.assertEqual(error.code, "VN-CKPT-001")
        self.assertIn(error.code, (ROOT / "docs" / "errors.md").read_text())
        self.assertIn("/nowhere", error.subject)
        for part in (error.code, error.problem, error.remedy):
            self.assertIn(part, str(error))

    def test_unknown_jobs_and_fields_are_refused(self) -> None:
        for job, specification in (("inspekt", {}), ("inspect", {"checkpoint": "a", "chekpoint": 1}), ("inspect", {})):
            with self.assertRaises(vernier.Error) as raised:
                vernier.run_job(job, specification)
            self.assertEqual(raised.exception.code, "VN-ARG-001")

    def test_what_is_no_json_is_python_s_error(self) -> None:
        with self.assertRaises(TypeError):
            vernier.run_job("inspect", {"checkpoint": object()})


class Fields(unittest.TestCase):
    """Names in _jobs.py against docs/library.md and against the library, which knows each and no other."""

    FUNCTIONS = {"eval": "evaluate"}  # a name that Python has already

    def function_of(self, job: str) -> Any:
        return getattr(vernier, self.FUNCTIONS.get(job, job))

    def fields_of(self, job: str) -> List[str]:
        """Of the function's parameters and, where it takes others, of the class that names them."""
        source = Path(_jobs.__file__).read_text()
        function = self.function_of(job)
        names = [name for name, parameter in reflection.signature(function).parameters.items()
                 if parameter.kind is not parameter.VAR_KEYWORD and name != "on_progress"]
        unpacked = re.search(r"Unpack\[(\w+)\]", reflection.getsource(function))
        while unpacked:
            body = re.search(rf"class {unpacked.group(1)}\((\w+).*?\n((?:\n|        .*\n)+)", source)
            assert body
            names += re.findall(r"^        (\w+): ", body.group(2), re.MULTILINE)
            unpacked = re.match(r"(ModelFields|RecipeFields)$", body.group(1))
        return names

    def documented_jobs(self) -> List[str]:
        table = (ROOT / "docs" / "library.md").read_text().split("| job |")[1].split("\n\n")[0]
        return [name for line in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", line.split("|")[1])]

    def test_every_job_has_a_function(self) -> None:
        jobs = self.documented_jobs()
        self.assertGreater(len(jobs), 10)
        for job in jobs:
            self.assertIn(self.FUNCTIONS.get(job, job), vernier.__all__)

    def test_the_library_knows_every_field(self) -> None:
        for job in self.documented_jobs():
            fields = self.fields_of(job)
            self.assertGreater(len(fields), 0)
            # Null is no value, so that a field is known or not, and nothing else is said of it.
            given: typing.Dict[str, Any] = dict.fromkeys(fields)
            given.update({name: "/nowhere" for name in ("checkpoint", "source", "quantised", "input_ids", "output", "run")
                          if name in given})
            given.update({name: value for name, value in (("layer", 0), ("prompts", ["a"])) if name in given})
            if job in ("plan", "run", "calibrate", "export"):
                given["recipe"] = "/nowhere.json"
            with self.assertRaises(vernier.Error) as raised:
                vernier.run_job(job, given)
            self.assertNotIn("unknown field", str(raised.exception), job)
            self.assertNotIn("lacks the field", str(raised.exception), job)

    def test_recipe_fields_are_the_options_that_replace_them(self) -> None:
        options = (ROOT / "docs" / "options.md").read_text()
        rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:6]] for line in options.splitlines()]
        replacing = {row[0].strip("`-").replace("-", "_") for row in rows
                     if len(row) == 5 and row[0].startswith("`--") and row[2] and "run" in row[3].split(", ")}
        self.assertIn("samples", replacing)
        self.assertEqual(replacing, set(self.fields_of("calibrate")) - {"recipe", "command"})


if __name__ == "__main__":
    unittest.main()
