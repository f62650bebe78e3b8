"""What the repository's pages and files say of the package."""

import os
import re
import tempfile
import unittest

from support import ROOT

try:
    import numpy
except ImportError:
    numpy = None  # type: ignore[assignment]


class Pages(unittest.TestCase):
    @unittest.skipIf(numpy is None, "NumPy is not installed")
    def test_examples_run_as_they_stand(self) -> None:
        blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL)
        self.assertGreaterEqual(len(blocks), 3)
        here = os.getcwd()
        with tempfile.TemporaryDirectory() as folder:
            os.symlink(ROOT / "examples", folder + "/examples")
            os.chdir(folder)
            try:
                names = {"print": lambda *_: None}
                for block in blocks:
                    exec(compile(block, "docs/python.md", "exec"), names)  # one after the other, as a reader would
            finally:
                os.chdir(here)
        self.assertTrue(names["audit"]["clean"])
        self.assertEqual(names["array"].shape, names["tensor"].shape)

    def test_the_site_has_every_page(self) -> None:
        listed = set(re.findall(r": (\w+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
        self.assertEqual(listed, {page.name for page in (ROOT / "docs").glob("*.md")})

    def test_the_page_of_versions_has_those_of_the_code(self) -> None:
        page = (ROOT / "docs" / "versions.md").read_text()
        for row, file, name in (("| store |", "run/store_schema.h", "kSchemaVersion"),
                                ("| what decides over", "run/run_identity.h", "kNumericsVersion"),
                                ("| manifest |", "export/manifest.cc", "kManifestVersion")):
            code = re.search(rf"{name} = (\d+);", (ROOT / file).read_text())
            assert code, name
            line = next(line for line in page.splitlines() if line.startswith(row))
            self.assertIn(f"| {code.group(1)} |", line)

    def test_versions_have_one_place(self) -> None:
        project = (ROOT / "pyproject.toml").read_text()
        self.assertIn('dynamic = ["version"]', project)
        expression = re.search(r"^regex = '(.*)'$", project, re.MULTILINE)
        assert expression
        found = re.search(expression.group(1), (ROOT / "CMakeLists.txt").read_text())
        assert found
        self.assertIn(found.group("value"), (ROOT / "CHANGELOG.md").read_text())
        duckdb = re.search(r"duckdb-cli==[0-9.]+", (ROOT / "tools" / "duckdb.txt").read_text())
        assert duckdb
        self.assertIn(f'"{duckdb.group()}"', project)


if __name__ == "__main__":
    unittest.main()
