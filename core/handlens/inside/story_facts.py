"""The facts behind the article's text, family by family: each is computed where it is named.

A share of right answers is a float in 0..1; a count is an int; a sentence or a place is a str.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ShapeError
from ..layers import AvgPool2D, Conv2D, Dense, Flatten, MaxPool2D
from ..model import Sequential
from ..ops import activation as activations
from ..ops.conv import conv2d
from ..ops.pool import avg_pool2d, max_pool2d
from . import patches
from . import story_counts as counts
from . import story_maps as maps
from . import story_models as shipped
from . import story_neurons as neurons
from .story_tools import apply, costs, network, slope

KERNEL_IMAGES = 250  # test images on which kernels are looked at: seconds, not minutes

Fact = int | float | str
Facts = dict[str, Fact]


def neuron_facts() -> Facts:
    """A neuron, activations, collapse, approximation, one step of learning."""
    flat, hidden = costs([Flatten(), Dense(100)], (1, 28, 28))
    wrong = hidden.weights + hidden.weights  # a bias for each connection
    nudge = 0.5
    plain = neurons.neuron()
    weights = np.array(plain["weights"])
    weights[0, 1] += nudge
    moved = neurons.neuron(weights=weights)["z"] - plain["z"]
    found: Facts = {
        "zero": 0,
        "one": 1,
        "side": round(math.sqrt(flat.shape[0])),
        "inputs": flat.shape[0],
        "hidden_inputs": flat.shape[0],
        "hidden_neurons": hidden.shape[0],
        "hidden_weights": hidden.weights,
        "hidden_biases": hidden.biases,
        "hidden_parameters": hidden.parameters,
        "hidden_wrong": wrong,
        "nudge": nudge,
        "nudge_input": float(plain["inputs"][1]),
        "nudge_moved": round(float(moved[0]), 6),
        "nudge_other": round(float(moved[1]), 6),
        "sigmoid_at_zero": float(apply(activations.sigmoid, [0.0])[0]),
        "sigmoid_slope": float(slope(activations.sigmoid, [0.0])[0]),
        "relu_slope": int(slope(activations.relu, [0.0])[0]),
        "softmax_sum": int(apply(activations.softmax, [[1000.0, -1000.0, 999.0]]).sum().round(12)),
    }
    straight, bent = neurons.collapse(), neurons.collapse(relu=True)
    found |= {
        "collapse_tried": straight["tried"],
        "collapse_difference": straight["difference"],
        "collapse_relu": bent["difference"],
    }
    for name, units in (("few", 4), ("some", 8), ("many", 64)):
        found |= {
            f"curve_units_{name}": units,
            f"curve_error_{name}": neurons.approximate(units=units)["error"],
        }
    found |= {f"abs_{key}": value for key, value in neurons.absolute().items() if key != "places"}
    found["abs_places"] = neurons.absolute()["places"]
    half = 0.5
    sure, halved, guessed = (float(one) for one in neurons.crossed([1.0, half, 1 / 10]))
    found |= {"loss_share": half, "loss_sure": round(sure, 12), "loss_half": halved, "loss_guess": guessed}
    found |= {
        "step_jump": neurons.jump("step"),
        "step_half": neurons.jump("step") / 2,
        "step_error": neurons.approximate(units=64, start="step")["error"],
        "step_between": neurons.between(64, "step"),
    }
    step = neurons.learning()
    return found | {
        "learn_weight": step["weight"],
        "learn_gradient": step["gradient"],
        "learn_measured": step["measured"],
        "learn_still": step["after_backpropagation"],
        "learn_rate": step["rate"],
        "learn_after": step["after_optimizer"],
    }


def counted_facts() -> Facts:
    """Parameters of large layers, output sizes, receptive fields, flatten."""
    large = counts.dense_against_kernels(224)
    small = counts.dense_against_kernels(28, hidden=3)
    places = np.arange(784.0).reshape(28, 28)
    row, column = 2, 5
    found: Facts = {
        "flat_row": row,
        "flat_column": column,
        "flat_index": int(
            network([Flatten()], (1, 28, 28)).predict(places[None, None])[0].tolist().index(places[row, column])
        ),
        "bytes": counts.BYTES,
        "adam": counts.ADAM,
        "large_side": large["side"],
        "large_inputs": large["into_one"],
        "large_hidden": large["hidden"],
        "large_weights": large["dense"]["weights"],
        "large_biases": large["dense"]["biases"],
        "large_parameters": large["dense"]["parameters"],
        "large_megabytes": large["dense"]["bytes"] / 1e6,
        "large_training": large["dense"]["training_bytes"] / 1e6,
        "large_colour": counts.dense_against_kernels(224, channels=3)["inputs"],
        "three_kernels": small["kernels"],
        "three_weights": small["conv"]["weights"],
        "three_biases": small["conv"]["biases"],
        "three_parameters": small["conv"]["parameters"],
        "three_work": small["conv"]["multiply_adds"],
        "reused": small["reused"],
        "ratio_one": small["into_one"] / small["conv"]["weights"],
        "dense_three": small["dense"]["weights"],
        "ratio_three": small["dense"]["weights"] / small["conv"]["weights"],
        "same_outputs": small["outputs"],
        "same_weights": small["same_outputs"]["weights"],
        "same_ratio": small["same_ratio"],
    }
    plain, by_two, bordered, wide = (
        counts.sliding(28, k, s, p) for k, s, p in ((3, 1, 0), (3, 2, 0), (3, 1, 1), (5, 1, 0))
    )
    found |= {
        "kernel_side": plain["kernel"],
        "kernel_weights": costs([Conv2D(1, 3)], (1, 28, 28))[0].weights,
        "kernel_five": wide["kernel"],
        "stride_two": by_two["stride"],
        "out_plain": plain["out"],
        "out_stride": by_two["out"],
        "out_padded": bordered["out"],
        "out_five": wide["out"],
        "left_over": by_two["left_over"],
    }
    sizes = [row["size"] for row in maps.fields()["rows"]]
    names = ("field_conv_one", "field_pool_one", "field_conv_two", "field_pool_two")
    found |= dict(zip(names, sizes, strict=True))
    found["field_bare"] = maps.fields(pooled=False)["rows"][-1]["size"]
    return found | flattened_facts()


def flattened_facts() -> Facts:
    """The list behind the maps: 432 or 108 numbers, and what the dense layers after it cost."""
    long, short = counts.flatten(pools=1), counts.flatten(pools=2)
    model = network([Conv2D(3, 5), MaxPool2D(2), Flatten()], (1, 28, 28))
    return {
        "flat_maps": long["maps"],
        "flat_long": long["length"],
        "flat_long_side": long["rows"],
        "flat_short": short["length"],
        "flat_short_side": short["rows"],
        "flat_parameters": long["flatten_parameters"],
        "flat_work": model.summary().rows[-1].multiply_adds,
        "flat_steps": sum(step.op == "reshape" for step in model.plan().steps),
        "half_long": long["half"],
        "half_long_parameters": long["half_parameters"],
        "half_short": short["half"],
        "half_short_parameters": short["half_parameters"],
        "head_share": long["head_share"],
        "example_parameters": long["parameters"],
    }


def mapped_facts() -> Facts:
    """The Hadamard product, patterns, where a sum is written, pooling."""
    example, turned = maps.hadamard(), maps.hadamard(flip=True)
    diagonal = np.eye(3)
    faint, bright = maps.hadamard(0.2 * diagonal, diagonal), maps.hadamard(np.ones((3, 3)), diagonal)
    answers = maps.patterns()
    corner, spot = (answers["names"].index(name) for name in ("corner", "spot"))
    context = maps.context()
    image = np.arange(784.0).reshape(1, 1, 28, 28)
    kept = image.copy()
    centre = np.zeros((1, 1, 3, 3))
    centre[0, 0, 1, 1] = 1
    written = apply(conv2d, image, centre)[0, 0]
    first = (0, 0)
    centred = np.argwhere(image[0, 0] == written[first])[0]
    dot = np.zeros((3, 1, 1, 6, 6))
    for k, at in enumerate((2, 3, 4)):
        dot[k, 0, 0, 2, at] = 1
    start, within, across = (apply(max_pool2d, x, pool_size=2) for x in dot)
    ramp = np.arange(4.0).reshape(1, 1, 2, 2)
    saved = counts.pooling_saves()
    return {
        "hadamard_sum": example["sum"],
        "hadamard_flipped": turned["sum"],
        "match_faint": faint["value"],
        "match_bright": bright["value"],
        "cosine_faint": faint["cosine"],
        "cosine_bright": bright["cosine"],
        "spot_by_spot": float(answers["answers"][spot, spot]),
        "spot_by_corner": float(answers["answers"][spot, corner]),
        "corner_by_corner": float(answers["answers"][corner, corner]),
        "corner_by_spot": float(answers["answers"][corner, spot]),
        "context_alone": context["alone"],
        "context_line": context["in_line"],
        "written_centre": place(centred),
        "written_to": place(first),
        "written_changed": int((image != kept).sum()),
        "detectives": len(maps.DETECTIVES),
        "shift_within": int((start != within).sum()),
        "shift_across": int((start != across).sum()),
        "shift_outputs": start.size,
        "gradient_max": float(slope(max_pool2d, ramp, pool_size=2).max()),
        "gradient_average": float(slope(avg_pool2d, ramp, pool_size=2).max()),
        "pool_cells": ramp.size,
        "pool_side": MaxPool2D(2).pool_size[0],
        "pool_share": saved["share"],
        "pool_work": saved["pooled_work"],
        "pool_bare_work": saved["work"],
        "odd_side": 13,
        "odd_pooled": costs([AvgPool2D(2)], (1, 13, 13))[0].shape[1],
    }


def place(at: Sequence[int] | NDArray[np.intp]) -> str:
    """A cell as people count: from row 1, column 1."""
    return f"row {int(at[0]) + 1}, column {int(at[1]) + 1}"


def refused(model: Sequential, side: int) -> str:
    """The first half of the sentence with which a network refuses an image of that size."""
    try:
        model.predict(np.zeros((1, 1, side, side), np.float32))
    except ShapeError as error:
        return str(error).split(": the network")[0]
    raise AssertionError(f"{model.name} takes {side}x{side}")


def shipped_facts(models: Mapping[str, Sequential], samples: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> Facts:
    """What the shipped files say of themselves, and what their networks do with the given test images."""
    found: Facts = {}
    shown = {"linear": "linear", "ann": "ann", "small": "cnn-small", "best": "digits"}
    for short, name in shown.items():
        model = models[name]
        summary, measured = model.summary(), model.metadata["mnist"]
        found |= {
            f"{short}_parameters": summary.parameters,
            f"{short}_work": summary.multiply_adds,
            f"{short}_accuracy": float(measured["accuracy"]),
            f"{short}_shifted": float(measured["shifted"]["accuracy"]),
        }
    dense = models["linear"].summary().rows[1]
    small = models["cnn-small"]
    measured = small.metadata["mnist"]
    pixels = np.eye(784, dtype=np.float32).reshape(784, 1, 28, 28)
    traced = {name: models[name].trace(pixels) for name in ("ann", "cnn-small")}
    bare = {name: models[name].trace(np.zeros((1, 1, 28, 28), np.float32)) for name in traced}
    hidden = traced["ann"]["dense1.linear"][:, 0] != bare["ann"]["dense1.linear"][0, 0]
    cell = traced["cnn-small"]["conv1.linear"][:, 0, 13, 13] != bare["cnn-small"]["conv1.linear"][0, 0, 13, 13]
    result = shipped.measured(dict(models), *samples)
    channel = maps.channels(small)
    sheet, other = 40, 32
    found |= {
        "classes": int(dense.shape[0]),
        "linear_weights": dense.parameters - int(dense.shape[0]),
        "linear_biases": int(dense.shape[0]),
        "test_images": int(measured["count"]),
        "shifted_pixels": int(measured["shifted"]["pixels"]),
        "grey_highest": int(np.iinfo(samples[0].dtype).max),
        "grey_levels": int(np.unique(samples[0]).size),
        "seen_hidden": int(hidden.sum()),
        "seen_kernel": int(cell.sum()),
        "samples": result["images"],
        "samples_ann": result["ann"],
        "samples_ann_shuffled": result["ann_shuffled"],
        "samples_cnn": result["cnn"],
        "samples_cnn_shuffled": result["cnn_shuffled"],
        "samples_exchanged": result["cnn_exchanged"],
        "samples_linear": result["linear"],
        "samples_linear_shuffled": result["linear_shuffled"],
        "samples_ann_exchanged": result["ann_exchanged"],
        "samples_linear_exchanged": result["linear_exchanged"],
        "sheet_side": sheet,
        "sheet_maps": " × ".join(str(n) for n in sheet_shape(small, sheet)),
        "sheet_numbers": math.prod(sheet_shape(small, sheet)),
        "freed_difference": result["freed_difference"],
        "other_side": other,
        "refusal": refused(models["ann"], other),
        "refusal_cnn": refused(small, sheet),
        "free_sizes": free_sizes(small),
    }
    unused = {"best_shifted"}
    found |= {f"channel_{key}": channel[key] for key in ("matrices", "weights", "parameters")}
    found |= {"channel_maps": len(channel["maps"]), "channel_kernels": len(channel["kernels"])}
    return {name: value for name, value in found.items() if name not in unused}


def sheet_shape(model: Sequential, side: int) -> tuple[int, ...]:
    """The shape of the maps in front of a network's flatten, on a sheet of that size."""
    body = model.layers[: [type(layer) for layer in model.layers].index(Flatten)]
    return costs(body, (1, side, side))[-1].shape


def kernel_facts(models: Mapping[str, Sequential], samples: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> Facts:
    """Row 39: whether a kernel of the shipped CNNs does nothing, or what another does, on some test images."""
    images, labels = (part[:KERNEL_IMAGES] for part in samples)
    counted, dead, twins, closest = 0, 0, 0, 0.0
    for name in ("cnn-small", "convnet", "digits"):
        for layer in models[name].layers:
            if not isinstance(layer, Conv2D):
                continue
            found = patches.excitement(models[name], layer.name, images, labels)
            cosines = found.cosines()
            np.fill_diagonal(cosines, 0)
            counted += len(cosines)
            dead += len(found.dead)
            twins += len(found.redundant())
            closest = max(closest, float(cosines.max()))
    return {
        "kernels_counted": counted,
        "kernels_images": len(images),
        "kernels_dead": dead,
        "kernels_twins": twins,
        "kernels_alike": patches.ALIKE,
        "kernels_closest": closest,
    }


def free_sizes(model: Sequential) -> str:
    """The sheets that the freed network was tried on and took: "28, 32, 40 and 56"."""
    free, taken = shipped.freed(model), []
    for side in (28, 32, 40, 56):
        answer: Any = free.predict(np.zeros((1, 1, side, side), np.float32))
        if answer.shape == (1, 10):
            taken.append(str(side))
    return f"{', '.join(taken[:-1])} and {taken[-1]}"
