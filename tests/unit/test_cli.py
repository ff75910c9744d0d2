"""The command line, as a user calls it: results, JSON, and one sentence for every mistake."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import handlens
import numpy as np
import pytest
from handlens import backends
from handlens.cli import COMMANDS, main


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like MNIST's, whole in form and tiny in effort: blank images but for a bar that tells the label."""
    from handlens.data.mnist import FILES

    folder, generator = tmp_path_factory.mktemp("mnist"), np.random.default_rng(0)
    for split, count in (("train", 60_000), ("test", 10_000)):
        labels = generator.integers(0, 10, count).astype(np.uint8)
        images = np.zeros((count, 28, 28), np.uint8)
        images[np.arange(count), 2 * labels + 3, 4:24] = 255
        for kind, array in (("images", images), ("labels", labels)):
            head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (folder / FILES[f"{split}_{kind}"][0]).write_bytes(head + array.tobytes())
    return folder


@pytest.fixture(autouse=True)
def unverified(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny set is not MNIST: its hashes are not looked at."""
    from handlens.data import mnist

    load = mnist.load
    monkeypatch.setattr(mnist, "load", lambda folder=None: load(folder, verify=False))


def test_train_then_evaluate_predict_summary_index(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "linear.safetensors"
    common, few = ["--data", str(data), "--json"], ["--sample", "5", "--no-augment"]
    assert main(["train", "linear", "--epochs", "1", "--images", "6000", *few, "--out", str(out), *common]) == 0
    trained = json.loads(capsys.readouterr().out)
    assert trained["bytes"] == out.stat().st_size and trained["test"]["accuracy"] > 0.95
    metadata = handlens.load(out).metadata
    assert metadata["command"] == "handlens train linear --seed 0 --epochs 1 --images 6000 --sample 5 --no-augment"
    assert metadata["data"]["training_images"] == 6000 and metadata["accuracy"] == trained["test"]["accuracy"]

    assert main(["evaluate", str(out), *common]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["accuracy"] == trained["test"]["accuracy"] and found["images"] == 10_000
    assert np.trace(found["confusion"]) == 10_000 - found["errors"] and np.sum(found["confusion"]) == 10_000

    bar = np.zeros((28, 28), np.float32)
    bar[2 * 7 + 3, 4:24] = 1
    np.save(tmp_path / "seven.npy", bar)
    assert main(["predict", str(out), str(tmp_path / "seven.npy"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["answers"][0]["digits"][0]["best"] == 7

    assert main(["summary", str(out)]) == 0
    assert "7,850" in capsys.readouterr().out
    assert main(["index", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["models"][0]["parameters"] == 7850


def test_hold_out_never_touches_the_test_images(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--epochs", "1", "--images", "2000", "--hold-out", "5000", "--data", str(data), "--json"]
    assert main(["train", "linear", *options]) == 0
    result = json.loads(capsys.readouterr().out)
    assert "test" not in result and "validation" in result and not list(tmp_path.iterdir())


def test_resume_on_the_command_line(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check, out = tmp_path / "run.safetensors", tmp_path / "m.safetensors"
    options = [
        "--epochs",
        "1",
        "--images",
        "512",
        "--sample",
        "3",
        "--data",
        str(data),
        "--checkpoint",
        str(check),
        "--out",
        str(out),
    ]
    assert main(["train", "linear", *options]) == 0
    first = out.read_bytes()
    assert main(["train", "linear", *options, "--resume", str(check)]) == 0
    one, two = handlens.load(first), handlens.load(out)
    assert one.parameters.tobytes() == two.parameters.tobytes()


def test_predict_reads_pictures(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    weights = tmp_path / "m.safetensors"
    handlens.architectures.build("linear").save(weights)
    picture = np.full((90, 60), 255, np.uint8)
    picture[20:70, 25:35] = 0
    Image.fromarray(picture).save(tmp_path / "one.png")
    Image.fromarray(np.full((40, 40), 255, np.uint8)).save(tmp_path / "blank.png")
    (tmp_path / "text.png").write_text("no picture")
    assert main(["predict", str(weights), str(tmp_path / "one.png"), str(tmp_path / "blank.png")]) == 0
    shown = capsys.readouterr().out
    assert "one.png: " in shown and "blank.png: blank" in shown
    assert main(["predict", str(weights), str(tmp_path / "text.png")]) == 1
    assert "is not an image" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "resnet"], "no architecture is called 'resnet'"),
        (["train", "linear", "--data", "/nowhere"], "make.py vendor"),
        (["train", "linear", "--out", "/nowhere/x.safetensors"], "does not exist"),
        (["evaluate", "/nowhere.safetensors"], "nowhere.safetensors"),
        (["summary", "/nowhere.safetensors"], "nowhere.safetensors"),
        (["index", "/nowhere"], "no .safetensors"),
        (["bench", "--repeats", "0"], "at least 1"),
    ],
)
def test_mistakes_get_one_sentence(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 1
    shown = capsys.readouterr()
    assert message in shown.err and "Traceback" not in shown.err and shown.err.count("\n") == 1


def test_bench_prints_milliseconds_images_and_gflops(capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--batch-size", "8", "--images", "4", "--repeats", "1"]
    assert main(["bench", "--name", "cnn-small", *few, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["threads"] == 1 and result["engines"][0] == "NumPy" and result["engines"][-1].startswith("PyTorch")
    assert [r["what"] for r in result["rows"]] == [
        "training step, batch 8, Adam",
        "inference, batch 1",
        "inference, batch 4",
    ]
    for row in result["rows"]:
        assert row["milliseconds"] == row["times"][result["best"]]
        assert min(row["times"].values()) > 0 and row["gflops"] > 0 and row["images_per_second"] > 0
        assert set(row["times"]) == {name for name in result["engines"] if name not in result["missing"]}
        assert set(row["ratios"]) == set(row["times"]) - {result["best"]} and min(row["ratios"].values()) > 0
    assert main(["bench", "--name", "linear", *few]) == 0
    shown = capsys.readouterr().out.splitlines()
    table = [line for line in shown if line.startswith("|")]
    assert len(table) == 5 and table[2].startswith("| training step, batch 8, Adam |")
    assert len({line.count("|") for line in table}) == 1


def test_bench_shows_each_op_beside_the_peak(capsys: pytest.CaptureFixture[str]) -> None:
    few = ["bench", "--ops", "--name", "cnn-small", "--batch-size", "8", "--images", "4", "--repeats", "1"]
    if backends.why_not("native"):
        assert main(few) == 1
        assert "compiled kernels" in capsys.readouterr().err
        return
    assert main([*few, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["peak"] > 0 and result["lanes"] in (4, 8, 16)
    rows = {(row["job"], row["op"], row["layer"]): row for row in result["ops"]}
    assert ("inference, batch 4", "dense", "dense1") in rows
    assert ("training step, batch 8, Adam", "conv2d_dw", "conv2") in rows
    for (_, op, _), row in rows.items():
        assert row["milliseconds"] > 0 and row["gigabytes"] > 0
        assert (row["gflops"] > 0) == (op.startswith(("conv2d", "dense")))
    assert main(few) == 0
    assert capsys.readouterr().out.count("\n| ") == len(result["ops"]) + 1


def test_doctor_names_every_backend(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert all(f"backends {name}" in shown for name in ("numpy", "native", "webgpu"))
    native = next(line for line in shown.splitlines() if line.startswith("backends native"))
    if not backends.why_not("native"):
        kernels = backends.get("native").library  # type: ignore[attr-defined]
        assert f"ready: {kernels.title}, {kernels.lanes} lanes of float32, " in native and "GFLOP/s" in native


def test_doctor_says_why_kernels_cannot_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "_opened", {})
    monkeypatch.setattr(backends, "_refused", {"native": "they were compiled for the moon"})
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert any(line.startswith("backends native") and line.endswith("the moon") for line in shown.splitlines())


def test_every_command_has_help_and_a_module() -> None:
    import importlib

    for name in COMMANDS:
        module = importlib.import_module(f"handlens.commands.{name}")
        assert module.__doc__ and callable(module.run) and callable(module.text)
        with pytest.raises(SystemExit) as done:
            main([name, "--help"])
        assert done.value.code == 0


def test_import_needs_numpy_and_nothing_else() -> None:
    """A fresh interpreter that refuses every other package of site-packages still imports and predicts."""
    program = (
        "import sys, handlens, numpy as np\n"
        "assert handlens.architectures.build('linear').predict(np.zeros((1, 28, 28))).shape == (1, 10)\n"
        "known = set(sys.stdlib_module_names) | {'numpy', 'handlens', '__main__', '__mp_main__'}\n"
        "outside = {m.partition('.')[0] for m in sys.modules if getattr(sys.modules[m], '__file__', None)} - known\n"
        "print(sorted(m for m in outside if not m.startswith(('_', 'sitecustomize', 'usercustomize'))))\n"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
