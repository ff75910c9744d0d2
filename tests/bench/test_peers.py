"""The pure parts of the peers' bench: what the peers are given, and how their times are shown. Needs no peer."""

from __future__ import annotations

import gzip
import importlib.util
import json
import sys
import types
import urllib.request
from pathlib import Path
from typing import Any

import handlens
import numpy as np
import pytest
import step_serve
from bench import first_times, first_work, op_report, peer_report, peer_workload, torch_engine
from bench.peer_report import Job, Record
from onnx.reference import ReferenceEvaluator


@pytest.fixture(scope="module")
def weights(root: Path) -> Path:
    return root / "web" / "models" / "convnet.safetensors"


@pytest.fixture(scope="module")
def work(weights: Path) -> peer_workload.Workload:
    generator = np.random.default_rng(1)
    images = generator.integers(0, 256, (peer_workload.IMAGES, 28, 28), np.uint8)
    return peer_workload.make(weights, images, generator.integers(0, 10, peer_workload.IMAGES))


def test_arrays_survive_the_packing(work: peer_workload.Workload, tmp_path: Path) -> None:
    peer_workload.write(work, tmp_path)
    index = json.loads((tmp_path / "work.json").read_text("utf-8"))
    found = peer_workload.unpack(index, (tmp_path / "work.bin").read_bytes())
    assert list(found) == list(work.arrays())
    for name, array in work.arrays().items():
        np.testing.assert_array_equal(found[name], array)
    assert sum(array.nbytes for array in work.arrays().values()) == (tmp_path / "work.bin").stat().st_size


def test_the_onnx_file_is_our_network(work: peer_workload.Workload, weights: Path) -> None:
    images = work.images[: peer_workload.CHECKED]
    (found,) = ReferenceEvaluator(peer_workload.onnx_model(work.weights)).run(None, {"input": images[:, None]})
    np.testing.assert_allclose(found, handlens.load(weights).predict(images), atol=1e-5)


def test_a_peer_that_differs_is_found_out(work: peer_workload.Workload) -> None:
    right = work.probabilities.ravel().tolist()
    assert peer_workload.disagreement(work, right) == 0
    assert peer_workload.disagreement(work, right[:10]) == 0
    assert peer_workload.disagreement(work, [*right[:-1], right[-1] + 0.5]) == pytest.approx(0.5)
    for broken in ([], right[:7], [float("nan"), *right[1:]]):
        assert peer_workload.disagreement(work, broken) == float("inf")


def test_the_expected_losses_follow_an_update(work: peer_workload.Workload, weights: Path) -> None:
    batch = peer_workload.TRAIN_BATCH
    scores = handlens.load(weights).predict(work.images[:batch], logits=True).astype(np.float64)
    chances = np.exp(scores - scores.max(1, keepdims=True))
    chances /= chances.sum(1, keepdims=True)
    first = -np.log(chances[np.arange(batch), work.labels[:batch].astype(int)]).mean()
    assert len(work.losses) == peer_workload.STEPS
    assert work.losses[0] == pytest.approx(first, rel=1e-4)
    assert work.losses[1] < work.losses[0]


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0.5, "0.50 ms"),
        (9.994, "9.99 ms"),
        (61.7, "61.7 ms"),
        (140.2, "140 ms"),
        (12_240, "12.2 s"),
        (220_000, "220 s"),
    ],
)
def test_times_have_three_digits(ms: float, text: str) -> None:
    assert peer_report.duration(ms) == text


def test_the_table_says_why_a_time_is_missing() -> None:
    read, train = Job("infer", 1), Job("train", 128)
    records = [
        Record("fast", "wasm", read, [1.0, 3.0, 2.0]),
        Record("fast", "wasm", train, reason="cannot train"),
        Record("absent", "webgpu", read, reason="no adapter"),
        Record("absent", "webgpu", train, reason="no adapter"),
    ]
    assert peer_report.table(records, [read, train]).splitlines() == [
        "| engine | inference, batch 1 | training step, 128 |",
        "| --- | ---: | ---: |",
        "| fast, wasm | 2.00 ms | – |",
        "| absent, webgpu | – | – |",
        "",
        "- fast, wasm (training step, 128): cannot train",
        "- absent, webgpu: no adapter",
    ]
    line = json.loads(records[0].line(machine="here"))
    assert line["median_ms"] == 2 and line["job"] == {"kind": "infer", "batch": 1} and line["machine"] == "here"


def test_the_lock_file_holds_versions_and_hashes_but_no_addresses(root: Path) -> None:
    folder = root / "tests" / "bench" / "peers"
    packages = json.loads((folder / "package-lock.json").read_text("utf-8"))["packages"]
    for name, entry in packages.items():
        assert "resolved" not in entry, name
        assert name == "" or entry["integrity"].startswith("sha512-"), name
    wanted = json.loads((folder / "package.json").read_text("utf-8"))["devDependencies"]
    assert packages[""]["devDependencies"] == wanted


def measured(peak: float, slower: float) -> dict[str, Any]:
    """What `handlens.roofline.measure` gives: two jobs of three ops each, one of them tiny."""
    ops = []
    for job in ("inference", "training"):
        for op, ms, gflops in (("conv2d", 8.0, 40.0), ("max_pool2d", 2.0, 0.0), ("softmax", 0.01, 0.0)):
            row = {"job": job, "op": op, "layer": "" if op == "softmax" else "one"}
            ops.append(row | {"milliseconds": ms * slower, "gflops": gflops / slower, "gigabytes": 3.0 / slower})
    return {"peak": peak, "ops": ops}


def test_ops_are_shown_beside_the_peak_and_small_ones_together() -> None:
    lines = op_report.table({"host": measured(80, 1), "tab": measured(10, 10)}).splitlines()
    assert lines[0] == ("| op | host ms | host GFLOP/s | host of its peak | tab ms | tab GFLOP/s | tab of its peak |")
    assert lines[2:6] == [
        "| conv2d one | 8.00 | 40.0 | 50% | 80.00 | 4.0 | 40% |",
        "| max_pool2d one | 2.00 | 3.0 GB/s | – | 20.00 | 0.3 GB/s | – |",
        "| 1 others | 0.01 | 3.0 GB/s | – | 0.10 | 0.3 GB/s | – |",
        "| **inference** | 10.01 | 32.0 | 40% | 100.10 | 3.2 | 32% |",
    ]
    assert [line.split(" | ")[0] for line in lines[6:]] == [
        *("| conv2d one", "| max_pool2d one", "| 1 others", "| **training**")
    ]


def test_sides_that_ran_other_ops_are_not_put_side_by_side() -> None:
    other = measured(10, 1)
    other["ops"][1]["op"] = "avg_pool2d"
    with pytest.raises(ValueError, match="the same ops"):
        op_report.table({"host": measured(80, 1), "tab": other})


def test_an_engine_in_a_python_without_pytorch_says_so(tmp_path: Path) -> None:
    class Unable(Exception):
        pass

    blocked = tmp_path / "torch.py"
    blocked.write_text("raise ImportError('no PyTorch here')\n", "utf-8")
    engine = torch_engine.Torch(sys.executable, tmp_path, Unable)
    engine.variables = {"PYTHONPATH": str(tmp_path)}
    with pytest.raises(Unable, match="no PyTorch here"):
        engine.open(None)
    engine.close()
    absent = torch_engine.Torch(str(tmp_path / "python"), tmp_path, Unable)
    with pytest.raises(Unable, match="No such file"):
        absent.open(None)
    absent.close()


@pytest.fixture(scope="module")
def digits(root: Path) -> handlens.Sequential:
    return handlens.load(root / "web" / "models" / "digits.safetensors")


def test_the_first_answers_have_our_weights_in_onnx(digits: handlens.Sequential) -> None:
    image = first_work.picture()[None].astype(np.float32) / 255
    model = first_work.for_onnx(first_work.parts(digits), 11)
    (found,) = ReferenceEvaluator(model).run(None, {"input": image[:, None]})
    np.testing.assert_allclose(found, digits.predict(image), atol=1e-5)
    assert found.argmax() == 7


def test_the_first_answers_have_our_weights_in_the_order_of_tfjs(digits: handlens.Sequential) -> None:
    """Images channels last, kernels HWIO, as the page computes; by plain NumPy."""
    layers, data = first_work.for_tfjs(first_work.parts(digits), 1)
    x = first_work.picture().astype(np.float64)[:, :, None] / 255

    def array(entry: list[int]) -> np.ndarray:
        return np.frombuffer(data, "<f4", int(np.prod(entry[1:])), entry[0]).reshape(entry[1:]).astype(np.float64)

    for layer in layers:
        if layer["kind"] == "pool":
            x = x[: x.shape[0] // 2 * 2, : x.shape[1] // 2 * 2]
            x = x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2, -1).max((1, 3))
            continue
        weight, bias = array(layer["weight"]), array(layer["bias"])
        if layer["kind"] == "conv":
            side = (len(weight) - 1) // 2 if layer["pad"] == "same" else 0
            padded = np.pad(x, ((side, side), (side, side), (0, 0)))
            windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[:2], (0, 1))
            x = np.einsum("pqchw,hwcf->pqf", windows, weight) + bias
        else:
            x = x.reshape(-1) @ weight + bias
        x = np.maximum(x, 0) if layer["relu"] else x
    shares = np.exp(x - x.max()) / np.exp(x - x.max()).sum()
    image = first_work.picture()[None].astype(np.float32) / 255
    np.testing.assert_allclose(shares, digits.predict(image)[0], atol=1e-5)


def test_the_link_is_what_the_page_writes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = types.ModuleType("pyscript")
    browser.document = None  # type: ignore[attr-defined]
    browser.window = types.SimpleNamespace(location=types.SimpleNamespace(hash=""))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyscript", browser)
    spec = importlib.util.spec_from_file_location("page_link", root / "web" / "ui" / "link.py")
    assert spec and spec.loader
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)

    class Flat(list):  # type: ignore[type-arg]
        length = property(len)

    flat = [*first_work.packed(first_work.SEVEN), 2, 40.5, 1, 300, 20.5, 3, 279.5]
    assert first_work.link(flat) == page.encode(Flat(flat)) != ""


def test_pages_are_sent_as_github_pages_sends_them(tmp_path: Path) -> None:
    text, packed = b"again and " * 100, gzip.compress(bytes(range(256)) * 9, 9)
    (tmp_path / "plain.js").write_bytes(text)
    (tmp_path / "packed.wasm.gz").write_bytes(packed)
    with step_serve.running(tmp_path, handler=first_times.Pages) as address:
        for name, data, coding in (("plain.js", text, "gzip"), ("packed.wasm.gz", packed, None)):
            with urllib.request.urlopen(address + name) as response:
                sent = response.read()
            assert response.headers["Content-Encoding"] == coding
            assert (gzip.decompress(sent) if coding else sent) == data
    times = {False: [30.0, 10.0, 20.0], True: [300.0, 100.0, 200.0]}
    page = first_times.Contestant("ours", tmp_path, "", times=times, fetched=[("plain.js", 130)])
    assert "| ours | 0.02 s | 0.20 s | 1 | 1000 B | 130 B |" in first_times.report([page], "here")
