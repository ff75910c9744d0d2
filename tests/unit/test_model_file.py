"""Model files: a round trip to the bit, and a clear error for everything that is not a whole model of ours."""

from __future__ import annotations

import json
import os
from pathlib import Path

import handlens
import numpy as np
import pytest
from handlens.errors import FormatError
from handlens.io import safetensors
from hypothesis import given, settings
from hypothesis import strategies as st


def model() -> handlens.Sequential:
    layers = [handlens.Conv2D(2, 3, use_bias=False), handlens.BatchNorm(), handlens.ReLU(), handlens.Flatten()]
    return handlens.Sequential([*layers, handlens.Dense(3)], (1, 6, 6), seed=3, name="tiny")


def test_round_trip_keeps_weights_architecture_and_metadata(tmp_path: Path) -> None:
    one, path = model(), tmp_path / "tiny.safetensors"
    one.state[...] = np.random.default_rng(0).uniform(0.5, 1, one.state.shape)
    size = one.save(path, {"accuracy": 0.5, "classes": ["a", "b", "c"], "note": "naïve ✓"})
    assert size == path.stat().st_size
    for source in (path, str(path), path.read_bytes()):
        two = handlens.load(source)
        assert two.config() == one.config() and (two.name, two.seed) == ("tiny", 3)
        assert list(two.state_dict()) == list(one.state_dict())
        assert all(
            np.array_equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True)
        )
        assert two.metadata["accuracy"] == 0.5 and two.metadata["note"] == "naïve ✓"
    two.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_other_tools_can_read_the_weights(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    one, path = model(), tmp_path / "tiny.safetensors"
    one.save(path)
    found = load_file(path)
    assert set(found) == set(one.state_dict())
    np.testing.assert_array_equal(found["conv1.weight"], one.state_dict()["conv1.weight"])


def changed(change: object, tmp_path: Path) -> Path:
    """A model file whose tensors and metadata were tampered with."""
    path = tmp_path / "changed.safetensors"
    model().save(path)
    tensors, metadata = safetensors.read(path)
    change(tensors, metadata)  # type: ignore[operator]
    safetensors.write(path, tensors, metadata)
    return path


def architecture(metadata: dict[str, str], **values: object) -> None:
    metadata["architecture"] = json.dumps({**json.loads(metadata["architecture"]), **values})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, m: m.clear(), "not a Handlens model"),
        (lambda t, m: m.update(format="handlens/2"), "handlens/2"),
        (lambda t, m: m.update(architecture="{"), "metadata is damaged"),
        (lambda t, m: m.pop("architecture"), "names no architecture"),
        (lambda t, m: m.update(architecture="[]"), "do not fit the architecture"),
        (lambda t, m: architecture(m, layers=[{"type": "Exploit"}]), "no layer is called"),
        (lambda t, m: architecture(m, layers=[{"type": "Dense", "units": 10**12}]), "do not fit"),
        (lambda t, m: architecture(m, layers=[{"type": "Flatten"}, {"type": "Dense", "units": 10**12}]), "do not fit"),
        (lambda t, m: architecture(m, input_shape=[1, 9, 9]), "do not fit"),
        (lambda t, m: t.pop("dense1.bias"), "dense1.bias"),
        (lambda t, m: t.update(more=np.zeros(3, np.float32)), "unknown"),
        (lambda t, m: t.update({"dense1.bias": np.zeros(4, np.float32)}), "dense1.bias"),
        (lambda t, m: t.update({"dense1.bias": np.full(3, np.nan, np.float32)}), "not finite"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(change: object, message: str, tmp_path: Path) -> None:
    path = changed(change, tmp_path)
    with pytest.raises(FormatError, match=message) as caught:
        handlens.load(path)
    assert "changed.safetensors" in str(caught.value)


def test_foreign_and_truncated_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    model().save(path)
    whole = path.read_bytes()
    for damaged in (b"", whole[:7], whole[:100], whole[:-1], whole + b"x", b"\x89PNG\r\n\x1a\n" * 9, b"PK" + whole):
        path.write_bytes(damaged)
        with pytest.raises(FormatError, match=r"tiny\.safetensors"):
            handlens.load(path)
    with pytest.raises((FormatError, OSError)):
        handlens.load(tmp_path / "missing.safetensors")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_bytes_never_crash_and_never_load_partly(data: st.DataObject) -> None:
    global _WHOLE
    whole = bytearray(_WHOLE)
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, min(2000, len(whole) - 1)))] = data.draw(st.integers(0, 255))
    try:
        found = handlens.load(bytes(whole))
    except FormatError:
        return
    assert np.isfinite(found.parameters).all()


def _bytes() -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.safetensors"
        model().save(path)
        return path.read_bytes()


_WHOLE = _bytes()


def test_a_failed_save_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tiny.safetensors"
    model().save(path)
    before = path.read_bytes()

    def fail(*args: object, **options: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        model().save(path, {"note": "second"})
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["tiny.safetensors"]
