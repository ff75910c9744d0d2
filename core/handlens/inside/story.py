"""The article's story in numbers: every figure that the text names, and what its live figures show.

    facts(models, samples) -> {"hidden_parameters": 78500, ..}      what build/step_article.py puts into the text
    figure("hadamard", models, image, {"bias": 1}) -> dict          what a figure shows for the visitor's numbers

Nothing is typed: counts come from the layers and the op table, values from the ops, shares of right answers from the
shipped files' metadata or from the test images given, and those of the small study (story_study) from its own record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..model import Sequential
from . import story_counts as counts
from . import story_maps as maps
from . import story_models as shipped
from . import story_neurons as neurons
from . import story_shifts as moving
from . import story_stack as stack
from .story_facts import Fact, Facts, counted_facts, kernel_facts, mapped_facts, neuron_facts, shipped_facts

Models = Mapping[str, Sequential]
Samples = tuple[NDArray[np.uint8], NDArray[np.uint8]]

NEEDED = ("linear", "ann", "cnn-small", "convnet", "digits")  # the networks that the text speaks of

# Live figures by name. Some need the shipped networks, some the visitor's drawing as well.
PLAIN: dict[str, Callable[..., Any]] = {
    "neuron": neurons.neuron,
    "activations": neurons.activations,
    "collapse": neurons.collapse,
    "approximate": neurons.approximate,
    "counts": counts.dense_against_kernels,
    "hadamard": maps.hadamard,
    "pooling": maps.pooling,
    "flatten": counts.flatten,
    "builder": stack.builder,
}
DRAWN: dict[str, Callable[..., Any]] = {"slide": maps.slide, "several": maps.several, "fields": maps.fields}
READ: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "loss": (shipped.loss, ("cnn-small",)),
    "permuted": (shipped.permuted, ("ann", "cnn-small", "linear")),
    "polarity": (shipped.polarity, ("cnn-small", "ann", "linear")),
    "sizes": (shipped.sizes, ("ann", "cnn-small", "linear")),
    "channels": (maps.channels, ("cnn-small",)),
    "shifts": (moving.shifts, ("cnn-small", "ann", "linear")),
    "whole": (shipped.whole_network, ("cnn-small",)),
}
FIGURES = (*PLAIN, *DRAWN, *READ)


def facts(models: Models, samples: Samples, study: Mapping[str, Any]) -> dict[str, Fact]:
    """Every number of the text by its name. DataError where one of the networks it speaks of is missing.

    models: by name, as loaded from the shipped files. samples: test images (N, 28, 28) uint8 and their labels.
    study: what `story_study.recorded()` gives.
    """
    missing = [name for name in NEEDED if name not in models]
    if missing:
        raise DataError(f"the article speaks of the networks {', '.join(NEEDED)}; missing: {', '.join(missing)}")
    found: Facts = {}
    alone = (neuron_facts(), counted_facts(), mapped_facts())
    for part in (*alone, shipped_facts(models, samples), kernel_facts(models, samples), dict(study)):
        double = sorted(set(found) & set(part))
        assert not double, double
        found.update(part)
    return found


def figure(
    name: str, models: Models, image: maps.Image | None = None, arguments: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What one figure shows. image: the visitor's drawing, or None for the example. DataError for an unknown name."""
    given = dict(arguments or {})
    if name in PLAIN:
        return dict(PLAIN[name](**given))
    if name in DRAWN:
        return dict(DRAWN[name](image=image, **given)) | {"drawn": image is not None}
    if name not in READ:
        raise DataError(f"no figure is called {name!r}; there are: {', '.join(FIGURES)}")
    make, needed = READ[name]
    missing = [one for one in needed if one not in models]
    if missing:
        raise DataError(f"this figure waits for the network {missing[0]}")
    return dict(make(*(models[one] for one in needed), image=image, **given)) | {"drawn": image is not None}


def figures(models: Models) -> dict[str, Any]:
    """Every figure as it stands before the visitor has touched it: on the example drawing."""
    return {name: figure(name, models) for name in FIGURES}
