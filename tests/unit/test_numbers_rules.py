"""The milder rule for a digit that stands among others."""

from __future__ import annotations

from pathlib import Path

import handlens
import numpy as np
import pytest
from handlens import numbers, reading
from handlens.data import generator
from handlens.errors import DataError
from handlens.reading import Rules

MODELS = Path(__file__).resolve().parents[2] / "web" / "models"


def test_rules_keep_their_order() -> None:
    assert Rules(0.8, 0.95).among_others() == Rules(0.8, 0.95)
    assert Rules(0.8, 0.95, 0.6).among_others() == Rules(0.6, 0.95)
    for beside in (-0.1, 0.81, float("nan")):
        with pytest.raises(DataError, match="beside"):
            Rules(0.8, 0.95, beside)


def test_a_models_file_states_it() -> None:
    model = handlens.load(MODELS / "digits.safetensors")
    stated = model.metadata["refusal"]
    assert 0.5 <= stated["beside"] <= stated["answer"]
    assert reading.rules_of(model).beside == stated["beside"]
    model.metadata["refusal"] = {"answer": 0.9}
    assert reading.rules_of(model).beside is None


def test_it_holds_for_numbers_alone() -> None:
    """A milder share answers more digits of a number, and no more of those that stand alone."""
    model = handlens.load(MODELS / "digits.safetensors")
    digits = generator.digits(80, 3)
    strict, mild = Rules(0.999, 0.999), Rules(0.999, 0.999, 0.2)
    answered = [0, 0]
    for number in numbers.composed(digits, 4, 12):
        for k, rules in enumerate((strict, mild)):
            places = numbers.read(model, number.strokes, 280.0, rules)
            if len(places) > 1:
                answered[k] += sum(place.reading.digit is not None for place in places)
    assert answered[1] > answered[0]
    for digit in digits[:10]:
        alone = numbers.compose([digit], np.random.Generator(np.random.PCG64(1)))
        found = [numbers.read(model, alone.strokes, 280.0, rules) for rules in (strict, mild)]
        if len(found[0]) == 1:
            assert found[0][0].reading.digit == found[1][0].reading.digit


def test_the_threshold_is_the_mildest_that_costs_nothing() -> None:
    model = handlens.load(MODELS / "digits.safetensors")
    digits = generator.digits(80, 3)
    free = numbers.threshold(model, digits, 4, 1.0, 10)  # whatever it costs
    assert free == 0.5
    assert 0.5 <= numbers.threshold(model, digits, 4, 0.0, 10) <= reading.rules_of(model).answer
    model.metadata["refusal"] = {"answer": 0.4, "sure": 0.9}
    assert numbers.threshold(model, digits, 4, 0.0, 10) == 0.4  # nothing is milder than the model's own
