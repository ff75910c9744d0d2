"""The article's figures with shipped networks: shuffled pixels, reversed ink, other image sizes; live, on any drawing.

Where a figure is a share of test images it is measured by `measured()` when the site is built, never typed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ShapeError
from ..layers import Conv2D, Dense, Flatten, GlobalAvgPool2D, Softmax
from ..model import Sequential
from ..strokes import prepare_raster
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


def permuted(
    ann: Sequential, cnn: Sequential, linear: Sequential, image: Image | None = None, seed: int = SEED
) -> dict[str, Any]:
    """One drawing with its pixels shuffled: networks whose weights are shuffled alike say the very same.

    rows: for each network its answer to the drawing, to the shuffled one, and the largest difference between its ten
    shares. The CNN's kernels cannot follow the shuffle: neighbours are no neighbours any more.
    """
    drawn, order = example() if image is None else image, order_of(seed=whole(seed, 0, 2**31, "seed"))
    mixed, rows = shuffled(drawn, order), []
    for model, follower in ((ann, rewired(ann, order)), (cnn, cnn), (linear, rewired(linear, order))):
        before, after = said(model, drawn), said(follower, mixed)
        apart = before["probabilities"].astype(np.float64) - after["probabilities"]
        rows.append({"name": model.name, "drawn": before, "shuffled": after, "difference": float(np.abs(apart).max())})
    return {"image": drawn, "shuffled": mixed, "rows": rows}


def polarity(
    cnn: Sequential, ann: Sequential, linear: Sequential, image: Image | None = None, threshold: float = 0.5
) -> dict[str, Any]:
    """A drawing as MNIST has it (ink 1 on paper 0), in black and white alone, and with ink and paper exchanged.

    threshold: from which ink on a pixel is black. rows: each with its image and, for each network, what it says.
    """
    level = float(threshold)
    if not 0 < level <= 1:
        raise DataError(f"threshold: a number above 0, up to 1, is needed, got {threshold!r}")
    drawn = example() if image is None else image
    kinds = {"as drawn": drawn, "black and white": (drawn >= level).astype(np.float32), "exchanged": 1 - drawn}
    rows = [
        {
            "name": name,
            "image": shown,
            "answers": [{"name": model.name, **said(model, shown)} for model in (cnn, ann, linear)],
        }
        for name, shown in kinds.items()
    ]
    return {"rows": rows, "greys": int(np.unique(drawn).size), "threshold": level}


def loss(model: Sequential, image: Image | None = None, label: int = -1) -> dict[str, Any]:
    """From a network's scores to shares and to the loss, ``p_k = exp(s_k - max s) / sum over j of exp(s_j - max s)``,
    ``loss = -log p_label``, the cross-entropy of one image.

    label: the digit that was meant; -1 for the one that the network reads. losses: for each digit, had it been meant.
    """
    drawn = example() if image is None else image
    scores = np.asarray(model.predict(drawn[None, None], logits=True)[0, :10], np.float64)
    shifted = scores - scores.max()
    powers = np.exp(shifted)
    losses = np.log(powers.sum()) - shifted
    best = int(scores.argmax())
    meant = best if label == -1 else whole(label, 0, 9, "digit")
    return {
        "scores": scores,
        "powers": powers,
        "sum": float(powers.sum()),
        "shares": powers / powers.sum(),
        "losses": losses,
        "digit": best,
        "label": meant,
        "share": float(powers[meant] / powers.sum()),
        "loss": float(losses[meant]),
    }


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


def scaled(image: Image, side: int = 28) -> Image:
    """A square image scaled down to side x side: each pixel is the mean, by area, of what lies below it."""
    count = image.shape[0]
    edges, pixel = np.arange(side + 1) * (count / side), np.arange(count)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    mean = np.clip(overlap, 0, None) * (side / count)
    return np.asarray(mean @ image @ mean.T, np.float32)


def sizes(
    ann: Sequential, cnn: Sequential, linear: Sequential, image: Image | None = None, side: int = 40
) -> dict[str, Any]:
    """The drawing on a larger sheet, given to networks for one size, to a CNN freed of its size, and the way out:
    the sheet scaled to 28x28, or its ink cropped, scaled and centred as this page does it.

    rows: name of the network, way ("as it is", "scaled", "prepared"), and either its digit and share or the sentence
    with which the core refuses. scaled (28, 28), prepared (28, 28): what the last networks get.
    """
    drawn = on_paper(example() if image is None else image, whole(side, 28, 64, "side"))
    small = scaled(drawn)
    ready = prepare_raster(drawn)
    framed = small if ready is None else ready.image
    tries: list[tuple[str, Sequential, str, Image]] = [
        ("ann", ann, "as it is", drawn),
        ("linear", linear, "as it is", drawn),
        ("flatten", cnn, "as it is", drawn),
        ("average", freed(cnn), "as it is", drawn),
        *((name, model, "scaled", small) for name, model in (("ann", ann), ("linear", linear))),
        *((name, model, "prepared", framed) for name, model in (("ann", ann), ("linear", linear))),
    ]
    rows = []
    for name, model, way, given in tries:
        try:
            rows.append({"name": name, "way": way, "refused": "", **said(model, given)})
        except ShapeError as error:
            rows.append({"name": name, "way": way, "refused": f"{error}."})
    return {"side": int(side), "image": drawn, "scaled": small, "prepared": framed, "rows": rows}


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
    ann, cnn, linear = models["ann"], models["cnn-small"], models["linear"]
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
        "linear": right(linear, x),
        "linear_shuffled": right(rewired(linear, order), mixed),
        "ann_exchanged": right(ann, 1 - x),
        "linear_exchanged": right(linear, 1 - x),
        "freed_difference": float(apart),
    }
