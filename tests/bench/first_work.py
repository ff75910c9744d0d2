"""What the first answers are given: a drawing as a link, `digits`'s weights for tfjs and for ONNX, the peers' pages.

Batch norms are folded into the convolutions before them, as a converter would. Pure: no browser, no peer.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import handlens
import numpy as np
import onnx
from handlens import strokes
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Floats = NDArray[np.float32]
EXTENT, WIDTH = 280, 22  # of the pads, in their units
DRAWING = Path(__file__).parent / "peers" / "first" / "drawing.js"
# A seven, in pad units.
SEVEN = ((90, 76), (140, 76), (190, 78), (168, 126), (146, 174), (128, 218))
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<link rel="icon" href="data:,">
{preloads}
<script type="module" src="{script}"></script>
{stated}<canvas id="pad" width="280" height="280"></canvas>
<p id="answer">?</p>
<script>
{drawing}</script>
</html>
"""


@dataclass(frozen=True)
class Part:
    """A convolution (weight F x C x KH x KW), a dense layer (units x inputs) or a 2x2 max pooling of a network."""

    kind: str  # "conv", "dense" or "pool"
    weight: Floats | None = None
    bias: Floats | None = None
    pad: str = "valid"
    relu: bool = False


def packed(points: Sequence[tuple[float, float]]) -> list[float]:
    """One stroke as pad.flat() packs it."""
    return [len(points), WIDTH, 0, *(value for point in points for value in point)]


def link(flat: Sequence[float]) -> str:
    """Packed strokes as the address of our page has them; web/ui/link.py has the format."""
    out = bytearray()

    def write(number: int) -> None:
        while number > 127:
            out.append(number & 127 | 128)
            number >>= 7
        out.append(number)

    i = 0
    while i < len(flat):
        count, at = int(flat[i]), [0, 0]
        write(count)
        write(int(flat[i + 1] * 2) * 2 + int(flat[i + 2]))
        for k, value in enumerate(flat[i + 3 : i + 3 + 2 * count]):
            step, at[k % 2] = round(value * 2) - at[k % 2], round(value * 2)
            write(2 * step if step >= 0 else -2 * step - 1)
        i += 3 + 2 * count
    return base64.urlsafe_b64encode(bytes(out)).decode().rstrip("=")


def picture() -> NDArray[np.uint8]:
    """The drawing as the network sees it, (28, 28) of 0 to 255."""
    made = strokes.prepare(strokes.unpack(packed(SEVEN)), EXTENT)
    assert made is not None
    return np.rint(np.asarray(made.image).reshape(28, 28) * 255).astype(np.uint8)


def parts(model: handlens.Sequential) -> list[Part]:
    """The network as a chain, its batch norms folded. ValueError for a layer that is not known here."""
    arrays = {name: np.asarray(array, np.float64) for name, array in model.state_dict().items()}
    found: list[Part] = []
    for layer in model.layers:
        kind, settings = type(layer).__name__, layer.config()
        name = settings["name"]
        if kind in ("Conv2D", "Dense"):
            weight = arrays[f"{name}.weight"]
            bias = arrays.get(f"{name}.bias", np.zeros(len(weight)))
            relu = settings["activation"] == "relu"
            found.append(Part("conv" if kind == "Conv2D" else "dense", weight, bias, settings.get("padding", ""), relu))
        elif kind == "BatchNorm":
            last = found.pop()
            scale = arrays[f"{name}.weight"] / np.sqrt(arrays[f"{name}.running_var"] + settings["epsilon"])
            bias = (last.bias - arrays[f"{name}.running_mean"]) * scale + arrays[f"{name}.bias"]
            found.append(Part("conv", last.weight * scale[:, None, None, None], bias, last.pad, last.relu))
        elif kind == "ReLU":
            last = found.pop()
            found.append(Part(last.kind, last.weight, last.bias, last.pad, True))
        elif kind == "MaxPool2D" and settings["pool_size"] == [2, 2] == settings["strides"]:
            found.append(Part("pool"))
        elif kind not in ("Flatten", "Dropout", "Softmax"):
            raise ValueError(f"{name}: {kind} is not known to the peers' pages")
    return found


def for_tfjs(chain: Sequence[Part], channels: int) -> tuple[list[dict[str, Any]], bytes]:
    """Layers with byte offset and shape of their arrays, and the bytes: HWIO, and dense rows in the order of NHWC."""
    data, layers = bytearray(), []

    def put(array: Any) -> list[int]:
        offset = len(data)
        data.extend(np.ascontiguousarray(array, "<f4").tobytes())
        return [offset, *array.shape]

    for part in chain:
        if part.kind == "pool":
            layers.append({"kind": "pool"})
            continue
        weight = part.weight
        if part.kind == "conv":
            channels, weight = weight.shape[0], weight.transpose(2, 3, 1, 0)
        else:
            side = round((weight.shape[1] / channels) ** 0.5)
            weight = weight.reshape(-1, channels, side, side).transpose(2, 3, 1, 0).reshape(-1, len(weight))
        layer = {"kind": part.kind, "weight": put(weight), "bias": put(part.bias), "relu": part.relu}
        layers.append(layer | ({"pad": part.pad} if part.kind == "conv" else {}))
    return layers, bytes(data)


def for_onnx(chain: Sequence[Part], classes: int) -> onnx.ModelProto:
    """The same as an ONNX model: "input" (1, 1, 28, 28) to "probabilities" (1, classes)."""
    nodes, arrays, at = [], [], "input"
    for k, part in enumerate(chain):
        names = [f"weight{k}", f"bias{k}"]
        if part.kind == "pool":
            nodes.append(helper.make_node("MaxPool", [at], [f"y{k}"], kernel_shape=[2, 2], strides=[2, 2]))
        else:
            for name, array in zip(names, (part.weight, part.bias), strict=True):
                arrays.append(numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name))
        if part.kind == "conv":
            sides = list(part.weight.shape[2:])
            pads = [(side - 1) // 2 if part.pad == "same" else 0 for side in sides] * 2
            nodes.append(helper.make_node("Conv", [at, *names], [f"y{k}"], kernel_shape=sides, pads=pads))
        elif part.kind == "dense":
            nodes.append(helper.make_node("Flatten", [at], [f"flat{k}"]))
            nodes.append(helper.make_node("Gemm", [f"flat{k}", *names], [f"y{k}"], transB=1))
        at = f"y{k}"
        if part.relu:
            nodes.append(helper.make_node("Relu", [at], [f"r{k}"]))
            at = f"r{k}"
    nodes.append(helper.make_node("Softmax", [at], ["probabilities"], axis=1))
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 1, 28, 28])
    result = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, classes])
    graph = helper.make_graph(nodes, "digits", [given], [result], arrays)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def files(model: handlens.Sequential) -> Iterator[tuple[str, bytes]]:
    """The peers' pages and models, by path below the folder that is served."""
    chain = parts(model)
    layers, data = for_tfjs(chain, model.input_shape[0])
    stated = {"tfjs": f'<script type="application/json" id="layers">{json.dumps(layers)}</script>\n', "ort": ""}
    wasm = {"tfjs": "tfjs-backend-wasm-simd.wasm", "ort": "ort-wasm-simd-threaded.wasm"}
    weights = {"tfjs": "model.bin", "ort": "model.onnx"}
    for name in stated:
        # As an author would who wants a quick first answer: everything is asked for at once, and the drawing is made
        # ready by the page itself while the library is on its way.
        preloads = "\n".join(
            f'<link rel="preload" as="fetch" crossorigin href="{file}">' for file in (wasm[name], weights[name])
        )
        fill = {"title": name, "preloads": preloads, "script": f"{name}.js", "stated": stated[name]}
        yield f"{name}/index.html", PAGE.format(**fill, drawing=DRAWING.read_text("utf-8")).encode()
    yield f"tfjs/{weights['tfjs']}", data
    yield f"ort/{weights['ort']}", for_onnx(chain, model.output_shape[0]).SerializeToString()
