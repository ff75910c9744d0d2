"""A short real training on MNIST, as CI runs it."""

from __future__ import annotations

import json
from pathlib import Path

import handlens
import pytest
from handlens.cli import main
from handlens.data import mnist


def test_smoke_training_learns_mnist_and_beats_the_linear_baseline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One epoch over 6,000 images: enough for 93 %, and for a CNN to be ahead of softmax regression."""
    found = {}
    for name in ("cnn-small", "linear"):
        out = tmp_path / f"{name}.safetensors"
        options = ["--epochs", "2", "--images", "6000", "--no-augment", "--sample", "5", "--out", str(out), "--json"]
        assert main(["train", name, *options]) == 0
        found[name] = json.loads(capsys.readouterr().out)["test"]["accuracy"]
        test = mnist.load()
        assert handlens.load(out).evaluate(test.test_images, test.test_labels)["accuracy"] == found[name]
    assert found["cnn-small"] > 0.93 and found["cnn-small"] > found["linear"] > 0.8


def test_linear_on_linear_is_linear_and_gains_nothing() -> None:
    """The article's claim: without an activation a hidden layer adds nothing, in function and in accuracy."""
    data = mnist.load()
    x, y = data.train_images[:5000], data.train_labels[:5000]
    single = handlens.architectures.build("linear")
    double = handlens.Sequential([handlens.Flatten(), handlens.Dense(50), handlens.Dense(10)], (1, 28, 28))
    for model in (single, double):
        model.fit(x, y, epochs=4, batch_size=64, optimizer=handlens.Adam(1e-3), progress=False)
    w = double.state_dict()
    merged = handlens.architectures.build("linear")
    weight = w["dense2.weight"] @ w["dense1.weight"]
    bias = w["dense2.weight"] @ w["dense1.bias"] + w["dense2.bias"]
    merged.load_state_dict({"dense1.weight": weight, "dense1.bias": bias})
    test = data.test_images[:2000]
    assert abs(merged.predict(test, logits=True) - double.predict(test, logits=True)).max() < 1e-4
    gain = [m.evaluate(test, data.test_labels[:2000])["accuracy"] for m in (single, double)]
    assert abs(gain[1] - gain[0]) < 0.03
