"""What every engine of the peers' bench is given: our `convnet`'s weights, MNIST images, and the answers to agree with.

Three files: `work.json` (shapes and byte offsets by name), `work.bin` (little-endian float32, one array after the
other), `work.onnx` (the same network for what reads ONNX). Pure: no browser, and no peer has to be installed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import handlens
import numpy as np
import onnx
from handlens.layers import Dropout
from handlens.optimizers import Adam
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Floats = NDArray[np.float32]
MODEL = "convnet"
CHECKED = 8  # images whose probabilities every engine has to agree on
STEPS = 2  # losses every engine has to agree on: the second one follows the first update
TRAIN_BATCH = 128
IMAGES = 256


@dataclass(frozen=True)
class Workload:
    """Weights by name in our layout; images (N, 28, 28) in 0..1; labels as float; what the core makes of them."""

    weights: dict[str, Floats]
    images: Floats
    labels: Floats
    probabilities: Floats  # of the first CHECKED images
    losses: list[float]  # of STEPS Adam steps on the first TRAIN_BATCH images, without dropout

    def arrays(self) -> dict[str, Floats]:
        """Everything that is packed."""
        return {**self.weights, "images": self.images, "labels": self.labels}


def pack(arrays: Mapping[str, Floats]) -> tuple[dict[str, Any], bytes]:
    """The index and the bytes of arrays, one after the other."""
    index: dict[str, Any] = {}
    data = b""
    for name, array in arrays.items():
        index[name] = {"shape": list(array.shape), "offset": len(data)}
        data += np.ascontiguousarray(array, "<f4").tobytes()
    return {"arrays": index}, data


def unpack(index: Mapping[str, Any], data: bytes) -> dict[str, Floats]:
    """The arrays that `pack` packed, as page.js reads them."""
    found: dict[str, Floats] = {}
    for name, entry in index["arrays"].items():
        count = int(np.prod(entry["shape"]))
        found[name] = np.frombuffer(data, "<f4", count, entry["offset"]).reshape(entry["shape"])
    return found


def onnx_model(weights: Mapping[str, Floats]) -> onnx.ModelProto:
    """`convnet` from its weights: input (N, 1, 28, 28), output "probabilities" (N, 10)."""
    pool: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [2, 2]}
    nodes = [
        helper.make_node("Conv", ["input", "conv1.weight", "conv1.bias"], ["conv1"], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["conv1"], ["relu1"]),
        helper.make_node("MaxPool", ["relu1"], ["pool1"], **pool),
        helper.make_node("Conv", ["pool1", "conv2.weight", "conv2.bias"], ["conv2"], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["conv2"], ["relu2"]),
        helper.make_node("MaxPool", ["relu2"], ["pool2"], **pool),
        helper.make_node("Flatten", ["pool2"], ["flat"]),
        helper.make_node("Gemm", ["flat", "dense1.weight", "dense1.bias"], ["scores"], transB=1),
        helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        MODEL,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 1, 28, 28])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in weights.items()],
    )
    # The oldest versions that hold these ops, so that every peer reads them.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def expected_losses(model: handlens.Sequential, images: Floats, labels: Floats) -> list[float]:
    """The core's losses over STEPS Adam steps on one batch, without dropout: its masks are nobody else's."""
    layers = [layer for layer in model.layers if not isinstance(layer, Dropout)]
    plain = handlens.Sequential(layers, model.input_shape, 0)
    plain.load_state_dict(model.state_dict())
    batch = {"batch_size": len(images), "epochs": STEPS, "progress": False}
    history = plain.fit(images, labels.astype(np.int64), optimizer=Adam(1e-3), **batch)
    return [float(row["loss"]) for row in history.epochs]


def make(weights: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Workload:
    """The workload of a weights file and at least IMAGES images."""
    model = handlens.load(weights)
    pictures = images[:IMAGES].astype(np.float32) / np.float32(255)
    # Each label is that of the next image: a loss far from zero, whose gradients say whether a training is right, and
    # weights that do not run into denormal numbers while the same batch is trained on over and over.
    wrong = np.roll(labels[:IMAGES], 1).astype(np.float32)
    return Workload(
        {name: np.asarray(array, np.float32) for name, array in model.state_dict().items()},
        *(pictures, wrong, np.asarray(model.predict(pictures[:CHECKED]), np.float32)),
        expected_losses(model, pictures[:TRAIN_BATCH], wrong[:TRAIN_BATCH]),
    )


def write(work: Workload, folder: Path) -> None:
    """Write the three files."""
    folder.mkdir(parents=True, exist_ok=True)
    index, data = pack(work.arrays())
    (folder / "work.json").write_text(json.dumps(index), "utf-8")
    (folder / "work.bin").write_bytes(data)
    (folder / "work.onnx").write_bytes(onnx_model(work.weights).SerializeToString())


def disagreement(work: Workload, probabilities: list[float]) -> float:
    """The largest difference to the core's probabilities; infinite where a number is missing or none."""
    found = np.asarray(probabilities, np.float64).reshape(-1, 10) if len(probabilities) % 10 == 0 else np.empty((0, 10))
    if not len(found) or not np.isfinite(found).all():
        return float("inf")
    return float(np.abs(found - work.probabilities[: len(found)]).max())
