"""Weights and statistics in memory, and memory that other packages share."""

import array
import gc
import json
import struct
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, List, Tuple

import vernier

from support import MODEL, RUN

try:
    import numpy
except ImportError:
    numpy = None  # type: ignore[assignment]
try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]

WEIGHT = "layers.0.ffn.experts.0.w1.weight"  # MXFP4 with E8M0 scales


def stored_tensor(folder: Path, name: str) -> Tuple[str, List[int], bytes]:
    """dtype, shape and bytes as the file has them."""
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    with open(folder / index["weight_map"][name], "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header: Dict[str, Any] = json.loads(file.read(length))
        begin, end = header[name]["data_offsets"]
        file.seek(8 + length + begin)
        return header[name]["dtype"], header[name]["shape"], file.read(end - begin)


def mxfp4_values(codes: bytes, scales: bytes, columns: int) -> List[float]:
    """By the definition of the format: E2M1, the low nibble first, and a power of two for 32 values."""
    magnitudes = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
    values = []
    for position, byte in enumerate(codes):
        row, column = divmod(2 * position, columns)
        scale = 2.0 ** (scales[row * (columns // 32) + column // 32] - 127)
        for code in (byte & 15, byte >> 4):
            values.append((-1.0 if code & 8 else 1.0) * magnitudes[code & 7] * scale)
    return values


class Weights(unittest.TestCase):
    def setUp(self) -> None:
        self.weights = vernier.open_weights(MODEL)
        self.addCleanup(self.weights.close)

    def test_are_what_the_format_says(self) -> None:
        _, shape, codes = stored_tensor(MODEL, WEIGHT)
        _, _, scales = stored_tensor(MODEL, WEIGHT.replace(".weight", ".scale"))
        info = self.weights[WEIGHT]
        self.assertEqual(info.shape, (shape[0], 2 * shape[1]))
        self.assertEqual((info.dtype, info.facts["role"], info.facts["layer"]), ("F32", "routed_expert", 0))
        self.assertEqual(self.weights.read(WEIGHT).data.tolist(), mxfp4_values(codes, scales, info.shape[1]))

    def test_rows_are_a_part_of_the_whole(self) -> None:
        whole = self.weights.read(WEIGHT)
        columns = whole.shape[1]
        part = self.weights.read(WEIGHT, rows=(3, 7))
        self.assertEqual(part.shape, (4, columns))
        self.assertEqual(part.data.tolist(), whole.data[3 * columns : 7 * columns].tolist())
        self.assertEqual(self.weights.read(WEIGHT, rows=(3, 3)).data.tolist(), [])

    def test_go_where_the_caller_says(self) -> None:
        name = self.weights.infos()[0].name
        expected = self.weights.read(name).data.tolist()
        given = array.array("f", bytes(4 * len(expected)))
        self.assertIs(self.weights.read(name, out=given), given)
        self.assertEqual(given.tolist(), expected)

    def test_wrong_requests_are_refused(self) -> None:
        for name, arguments in (
            ("no.such.weight", {}),
            (WEIGHT, {"rows": (0, 10**6)}),
            (WEIGHT, {"rows": (-1, 2)}),
            (WEIGHT, {"out": array.array("f", [0.0])}),
        ):
            with self.assertRaises(vernier.Error) as raised:
                self.weights.read(name, **arguments)
            self.assertEqual(raised.exception.code, "VN-ARG-001")
        with self.assertRaises(TypeError):
            self.weights.read(WEIGHT, out=bytes(8))  # not writable
        self.weights.close()
        with self.assertRaises(ValueError):
            self.weights.read(WEIGHT)

    def test_several_threads_read(self) -> None:
        names = [info.name for info in self.weights.infos()][:32]
        alone = [self.weights.read(name).data.tobytes() for name in names]
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(lambda name: self.weights.read(name).data.tobytes(), names))
        self.assertEqual(together, alone)

    def test_closing_waits_for_those_who_read(self) -> None:
        def read() -> int:
            count = 0
            try:
                while True:
                    self.weights.read(WEIGHT)
                    count += 1
            except ValueError:  # closed
                return count

        with ThreadPoolExecutor(2) as pool:
            readers = [pool.submit(read) for _ in range(2)]
            while not any(reader.running() for reader in readers):
                pass
            self.weights.read(WEIGHT)
            self.weights.close()
            for reader in readers:
                self.assertGreaterEqual(reader.result(timeout=60), 0)

    def test_dequantised_checkpoints_have_the_same_values(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            vernier.dequantize(MODEL, folder + "/out")
            with vernier.open_weights(folder + "/out") as others:
                self.assertIn(WEIGHT, others)
                self.assertEqual(others[WEIGHT].facts["format"], "plain")
                # Four bits times a power of two are BF16 numbers.
                self.assertEqual(others.read(WEIGHT).data.tolist(), self.weights.read(WEIGHT).data.tolist())

    def test_a_checkpoint_that_is_none(self) -> None:
        with self.assertRaises(vernier.Error) as raised:
            vernier.open_weights("/nowhere")
        self.assertEqual(raised.exception.code, "VN-CKPT-001")


class Statistics(unittest.TestCase):
    def test_amax_is_the_same_as_the_job_s(self) -> None:
        expected = {row["module"]: row["amax"] for row in vernier.amax(RUN)["inputs"] if row["tokens"] > 0}
        with vernier.open_statistics(RUN) as statistics:
            read = {info.facts["module"]: statistics.read(info.name).data[0]
                    for info in statistics.infos() if info.facts["statistic"] == "input_amax"}
        self.assertGreater(len(read), 0)
        self.assertEqual(read, {module: expected[module] for module in read})

    def test_sums_of_squares_have_a_value_a_channel(self) -> None:
        with vernier.open_statistics(RUN) as statistics:
            sums = [info for info in statistics.infos() if info.facts["statistic"] == "input_square_sum"]
            self.assertGreater(len(sums), 0)
            for info in sums:
                values = statistics.read(info.name)
                self.assertEqual(values.dtype, "F64")
                self.assertEqual(len(values.data), values.shape[0])
                self.assertGreater(min(values.data), -1e-300)

    def test_a_run_that_is_none(self) -> None:
        with self.assertRaises(vernier.Error) as raised:
            vernier.open_statistics("/nowhere")
        self.assertEqual(raised.exception.code, "VN-STORE-004")


class SharedMemory(unittest.TestCase):
    def setUp(self) -> None:
        with vernier.open_weights(MODEL) as weights:
            self.tensor = weights.read(WEIGHT, rows=(0, 2))

    def test_writing_through_the_view(self) -> None:
        self.tensor.data[0] = 42.0
        self.assertEqual(self.tensor.data[0], 42.0)

    def test_a_capsule_that_nobody_takes_lets_go(self) -> None:
        from vernier import _dlpack

        capsule = self.tensor.__dlpack__()
        self.assertEqual(len(_dlpack._alive), 1)
        del capsule
        gc.collect()
        self.assertEqual(len(_dlpack._alive), 0)

    @unittest.skipIf(numpy is None, "NumPy is not installed")
    def test_numpy_shares_it(self) -> None:
        for view in (numpy.asarray(self.tensor), numpy.from_dlpack(self.tensor)):
            self.assertEqual(view.shape, self.tensor.shape)
            self.assertEqual(view.ctypes.data, self.tensor.address)
            self.assertEqual(view.ravel().tolist(), self.tensor.data.tolist())

    @unittest.skipIf(numpy is None, "NumPy is not installed")
    def test_numpy_keeps_it_alive(self) -> None:
        from vernier import _dlpack

        expected = self.tensor.data.tolist()
        view = numpy.from_dlpack(self.tensor)
        del self.tensor
        gc.collect()
        self.assertEqual(view.ravel().tolist(), expected)
        del view
        gc.collect()
        self.assertEqual(len(_dlpack._alive), 0)

    @unittest.skipIf(numpy is None, "NumPy is not installed")
    def test_reading_into_numpy(self) -> None:
        with vernier.open_weights(MODEL) as weights:
            out = numpy.empty(weights[WEIGHT].shape, numpy.float32)
            weights.read(WEIGHT, out=out)
        self.assertEqual(out[:2].ravel().tolist(), self.tensor.data.tolist())

    @unittest.skipIf(torch is None, "PyTorch is not installed")
    def test_torch_shares_it(self) -> None:
        view = torch.from_dlpack(self.tensor)
        self.assertEqual((view.dtype, tuple(view.shape)), (torch.float32, self.tensor.shape))
        self.assertEqual(view.data_ptr(), self.tensor.address)
        view[0, 0] = 7
        self.assertEqual(self.tensor.data[0], 7)


if __name__ == "__main__":
    unittest.main()
