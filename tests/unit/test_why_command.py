"""``handlens why``: the maps of the library, as JSON and as pictures of characters."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from handlens.cli import main
from handlens.inside.attribution import grad_cam, occlusion, saliency
from unit.inside_tools import WEB, samples, shipped

SMALL, ANN = (str(WEB / "models" / f"{name}.safetensors") for name in ("cnn-small", "ann"))


@pytest.fixture
def image(tmp_path: Path) -> str:
    np.save(tmp_path / "digits.npy", samples()[0][:3])
    return str(tmp_path / "digits.npy")


def test_json_holds_the_maps_of_the_library(image: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", SMALL, image, "--digit", "2", "--target", "4", "--layer", "conv1", "--json"]) == 0
    found, model, x = json.loads(capsys.readouterr().out), shipped("cnn-small"), samples()[0][2]
    assert found["target"] == 4 and found["layer"] == "conv1" and not found["refused"]
    np.testing.assert_allclose(found["maps"]["saliency"], saliency(model, x, 4), atol=1e-6)
    np.testing.assert_allclose(found["maps"]["grad_cam"], grad_cam(model, x, 4, "conv1"), atol=1e-6)
    np.testing.assert_allclose(found["maps"]["occlusion"], occlusion(model, x, 4).map, atol=1e-6)


def test_text_draws_them(image: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", SMALL, image, "--method", "grad-cam"]) == 0
    lines = capsys.readouterr().out.splitlines()
    label = int(shipped("cnn-small").predict(samples()[0][:1]).argmax())
    assert lines[0].startswith(f"cnn-small: class {label}, ") and lines[2].startswith(
        "grad-cam of conv2: L[p,q] = max(0"
    )
    cam = grad_cam(shipped("cnn-small"), samples()[0][0], label)
    rows = lines[3:17]
    dark = [(r, c) for r, row in enumerate(rows) for c, character in enumerate(row[2:]) if character == "@"]
    assert len(rows) == 14 and (cam.argmax() // 28 // 2, cam.argmax() % 28) in dark
    assert lines[17] == f'  "@" up to {cam.max():.3g}'


def test_a_network_without_convolutions_keeps_the_other_maps(image: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", ANN, image]) == 0
    said = capsys.readouterr().out
    assert '"ann" has none; see its saliency' in said and "\nsaliency: " in said and "\nocclusion: " in said
    assert main(["why", ANN, image, "--method", "grad-cam"]) == 1
    assert "handlens why: Grad-CAM weighs the maps" in capsys.readouterr().err
    assert main(["why", SMALL, image, "--target", "12"]) == 1
    assert "classes 0 to 9" in capsys.readouterr().err
