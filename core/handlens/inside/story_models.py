"""The article's figures with shipped networks: shuffled pixels, reversed ink, other image sizes; live, on any drawing.

Where a figure is a share of test images it is measured by `measured()` when the site is built, never typed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ShapeError
from ..layers import Conv2D, Dense, Flatten, GlobalAvgPool2D, Softmax
from ..model import Sequential
from .story_counts import whole
from .story_maps import Image, example

SEED = 1989


def order_of(pixels: int = 784, seed: int = SEED) -> NDArray[np.intp]:
    """A fixed shuffle: place i of the shuffled image holds pixel ``order[i]``."""
    return np.random.Generator(np.random.PCG64(seed)).permutation(pixels)


def shuffled(images: NDArray[Any], order: NDArray[np.intp]) -> NDArray[Any]:
    """The same values in other places, for any number of images."""
    return np.ascontiguousarray(images.reshape(-1, order.size)[:, order].reshape(images.shape))


def rewired(model: Sequential, order: NDArray[np.intp]) -> Sequential:
    """The dense network whose first layer expects its inputs in that order: the same weights, shuffled alike."""
    state, twin = model.state_dict(), Sequential.from_config(model.config(), name=model.name)
    first = next(layer.name for layer in model.layers if isinstance(layer, Dense))
    state[f"{first}.weight"] = state[f"{first}.weight"][:, order]
    twin.load_state_dict(state)
    return twin


def said(model: Sequential, image: NDArray[Any]) -> dict[str, Any]:
    """What a network makes of one image: the most probable digit, its share, all shares."""
    shares = model.predict(image[None, None])[0]
    best = int(shares[:10].argmax())
    return {"digit": best, "share": float(shares[best]), "probabilities": np.asarray(shares, np.float32)}


def permuted(ann: Sequential, cnn: Sequential, image: Image | None = None, seed: int = SEED) -> dict[str, Any]:
    """One drawing with its pixels shuffled: a dense network whose weights are shuffled alike says the very same.

    difference: the largest between the dense network's ten shares, before and after. The CNN's kernels cannot follow:
    neighbours are no neighbours any more.
    """
    drawn, order = example() if image is None else image, order_of(seed=whole(seed, 0, 2**31, "seed"))
    mixed = shuffled(drawn, order)
    answers = {
        "ann": said(ann, drawn),
        "ann_shuffled": said(rewired(ann, order), mixed),
        "cnn": said(cnn, drawn),
        "cnn_shuffled": said(cnn, mixed),
    }
    apart = answers["ann"]["probabilities"].astype(np.float64) - answers["ann_shuffled"]["probabilities"]
    return {"image": drawn, "shuffled": mixed, "difference": float(np.abs(apart).max()), **answers}


def polarity(model: Sequential, image: Image | None = None) -> dict[str, Any]:
    """A drawing as MNIST has it (ink 1 on paper 0), in black and white alone, and with ink and paper exchanged."""
    drawn = example() if image is None else image
    kinds = {"as drawn": drawn, "black and white": (drawn >= 0.5).astype(np.float32), "exchanged": 1 - drawn}
    rows = [{"name": name, "image": shown, **said(model, shown)} for name, shown in kinds.items()]
    return {"rows": rows, "greys": int(np.unique(drawn).size)}


def freed(model: Sequential) -> Sequential:
    """A network for every image size, with the weights of one that ends in Flatten and Dense.

    The dense layer after flatten is a convolution whose kernel is as large as the map, so it can slide as well; a
    global average of its answers gives one score a class. At the size that it was built for nothing changes.
    Raises ShapeError where the network does not end in Flatten, one Dense layer and Softmax.
    Source: E. Shelhamer, J. Long, T. Darrell, "Fully convolutional networks for semantic segmentation", 2017.
    """
    kinds = [type(layer) for layer in model.layers]
    if kinds[-3:] != [Flatten, Dense, Softmax]:
        raise ShapeError("only a network that ends in Flatten, one Dense layer and Softmax can be freed of its size")
    body, dense = model.layers[:-3], model.layers[-2]
    rows = {row.layer: row.shape for row in model.summary().rows}
    maps, side = rows[body[-1].name][0], rows[body[-1].name][1:]
    state = model.state_dict()
    weight, bias = state.pop(f"{dense.name}.weight"), state.pop(f"{dense.name}.bias")
    head = Conv2D(len(weight), side, name="head")
    free = Sequential([*body, head, GlobalAvgPool2D(), Softmax()], model.input_shape)
    free.load_state_dict({**state, "head.weight": weight.reshape(len(weight), maps, *side), "head.bias": bias})
    return free


def on_paper(image: Image, side: int) -> Image:
    """The drawing in the middle of a sheet of side x side."""
    sheet = np.zeros((side, side), np.float32)
    at = (side - image.shape[0]) // 2
    sheet[at : at + image.shape[0], at : at + image.shape[1]] = image
    return sheet


def sizes(ann: Sequential, cnn: Sequential, image: Image | None = None, side: int = 40) -> dict[str, Any]:
    """The drawing on a larger sheet, given to an ANN, to a CNN that flattens, and to that CNN freed of its size.

    rows: name, and either its digit and share or the sentence with which the core refuses.
    """
    drawn = on_paper(example() if image is None else image, whole(side, 28, 64, "side"))
    rows = []
    for name, model in (("ann", ann), ("flatten", cnn), ("average", freed(cnn))):
        try:
            rows.append({"name": name, "refused": "", **said(model, drawn)})
        except ShapeError as error:
            rows.append({"name": name, "refused": str(error)})
    return {"side": int(side), "image": drawn, "rows": rows}


def whole_network(cnn: Sequential, image: Image | None = None) -> dict[str, Any]:
    """Every layer's maps for one drawing, with their shapes and costs, and the ten shares at the end."""
    drawn = example() if image is None else image
    traced, rows = cnn.trace(drawn[None, None]), []
    for row in cnn.summary().rows:
        value = np.asarray(traced[row.layer][0], np.float32)
        rows.append(
            {
                "layer": row.layer,
                "kind": row.kind,
                "shape": list(row.shape),
                "parameters": row.parameters,
                "multiply_adds": row.multiply_adds,
                "values": value,
                "low": float(value.min()),
                "high": float(value.max()),
            }
        )
    return {"image": drawn, "rows": rows, **said(cnn, drawn)}


def measured(models: dict[str, Sequential], images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> dict[str, Any]:
    """Shares of right answers on test images: as they are, shuffled, exchanged; the freed network beside its own."""
    x, order = images.astype(np.float32) / np.float32(255), order_of()
    ann, cnn = models["ann"], models["cnn-small"]
    mixed, free = shuffled(x, order), freed(cnn)

    def right(model: Sequential, given: NDArray[np.float32]) -> float:
        return float((model.predict(given[:, None])[:, :10].argmax(axis=1) == labels).mean())

    apart = np.abs(free.predict(x[:, None], logits=True) - cnn.predict(x[:, None], logits=True)).max()
    return {
        "images": len(x),
        "ann": right(ann, x),
        "ann_shuffled": right(rewired(ann, order), mixed),
        "cnn": right(cnn, x),
        "cnn_shuffled": right(cnn, mixed),
        "cnn_exchanged": right(cnn, 1 - x),
        "freed_difference": float(apart),
    }
