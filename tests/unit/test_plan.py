"""The compiler: what a plan is made of, what it refuses, and that its rewrites change no number."""

from __future__ import annotations

import json
from dataclasses import replace

import handlens
import numpy as np
import pytest
from handlens.backends import NumpyBackend, drive
from handlens.errors import BackendError, PlanError, ShapeError
from handlens.graph import Graph
from handlens.memory import Lifetime, pack
from handlens.ops import find
from handlens.plan import Place, Plan, make_plan
from handlens.training import training_plan
from hypothesis import given
from hypothesis import strategies as st

GOLDEN = """\
   op           reads                                 writes    shape    where      multiply-adds
0  conv2d+relu  input, conv1.weight, conv1.bias       conv1     1x2x4x4  arena+0    288
1  max_pool2d   conv1                                 pool1     1x2x2x2  arena+256  0
2  dense        flatten1, dense1.weight, dense1.bias  dense1    1x3      arena+0    24
3  softmax      dense1                                softmax1  1x3      arena+256  0
buffers: input 256 B, parameters 1,024 B, arena 512 B"""


def small(**options: object) -> handlens.Sequential:
    layers = [handlens.Conv2D(2, 3, activation="relu"), handlens.MaxPool2D(2), handlens.Flatten(), handlens.Dense(3)]
    return handlens.Sequential([*layers, handlens.Softmax()], (1, 6, 6), **options)  # type: ignore[arg-type]


def test_the_plan_of_a_small_network_is_the_golden_one() -> None:
    assert str(small().plan()) == GOLDEN


def test_json_round_trip_gives_the_same_plan_and_the_same_text() -> None:
    for plan in (small().plan(), training_plan(small(), 4, "adam"), handlens.architectures.build("digits").plan()):
        text = plan.to_json()
        again = Plan.from_json(text)
        assert again == plan and again.to_json() == text


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda raw: raw.update(version=99), "version 99"),
        (lambda raw: raw.pop("steps"), "not a Handlens plan"),
        (lambda raw: raw["steps"][0].update(op="conv3d"), "no op is called 'conv3d'"),
        (lambda raw: raw["steps"][0].update(inputs=["nobody"]), "nobody"),
        (lambda raw: raw["steps"][0].update(inputs=["input"]), "takes"),
        (lambda raw: raw["tensors"]["conv1"].update(offset=128), "multiple of 256"),
        (lambda raw: raw["tensors"]["conv1"].update(offset=1 << 20), "past its end"),
        (lambda raw: raw["tensors"]["pool1"].update(offset=0), "overlap"),
        (lambda raw: raw["tensors"]["pool1"].update(shape=[1, 2, 2, 3]), "makes"),
        (lambda raw: raw["steps"][0].update(attrs={"strides": "ab"}), "do not fit the op"),
        (lambda raw: raw["steps"][1].update(attrs={}), "do not fit the op"),
        (lambda raw: raw["tensors"]["pool1"].update(dtype="int32"), "makes"),
        (lambda raw: raw["steps"][2].update(inputs=["conv1", "dense1.weight", "dense1.bias"]), "dense"),
    ],
)
def test_a_damaged_plan_is_refused_with_its_place(damage: object, message: str) -> None:
    raw = json.loads(small().plan().to_json())
    damage(raw)  # type: ignore[operator]
    with pytest.raises(PlanError, match=message):
        Plan.from_json(json.dumps(raw))


def test_text_that_is_no_plan_is_refused() -> None:
    for text in ("", "[]", "{}", "null", '{"version": 1}'):
        with pytest.raises(PlanError):
            Plan.from_json(text)


def test_a_step_never_reads_and_writes_one_buffer_at_overlapping_ranges() -> None:
    plan = small().plan()
    step = replace(plan.steps[1], outputs=("conv1",), inputs=("conv1",))
    with pytest.raises(PlanError):
        replace(plan, steps=(step,)).validate()


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(0, 9), st.integers(0, 5)), max_size=25))
def test_values_that_live_together_never_share_bytes(spans: list[tuple[int, int, int]]) -> None:
    lives = [Lifetime(f"t{k}", 256 * size, first, first + more) for k, (size, first, more) in enumerate(spans)]
    offsets, total = pack(lives)
    for k, one in enumerate(lives):
        assert offsets[one.name] % 256 == 0 and offsets[one.name] + one.size <= total
        for other in lives[k + 1 :]:
            if one.first <= other.last and other.first <= one.last:
                apart = offsets[one.name] + one.size <= offsets[other.name]
                assert apart or offsets[other.name] + other.size <= offsets[one.name]


def test_memory_is_shared_and_keep_all_is_not() -> None:
    model = handlens.architectures.build("convnet")
    shared, kept = model.plan(8), model.plan(8, keep="all")
    assert shared.buffers["arena"] < kept.buffers["arena"]
    ranges = sorted((p.offset, p.bytes, n) for n, p in kept.tensors.items() if p.buffer == "arena")
    starts = {}
    for offset, size, name in ranges:
        starts.setdefault(offset, []).append((size, name))
    assert all(len({size for size, _ in group}) == 1 for group in starts.values())  # only views share a place


@pytest.mark.parametrize("name", ["digits", "convnet", "ann"])
def test_fusion_and_folding_change_no_number(name: str) -> None:
    model = handlens.architectures.build(name, seed=3)
    generator = np.random.default_rng(0)
    model.state[...] = generator.uniform(0.5, 1.5, model.state.shape)
    x = generator.random((3, 1, 28, 28), np.float32)
    np.testing.assert_allclose(model.predict(x, logits=True), model.trace(x)["logits"], rtol=2e-4, atol=2e-4)
    fused = [s.op for s in model.plan().steps]
    assert "relu" not in fused and "batch_norm_inference" not in fused
    assert len(model.plan().prologue) == (4 if name == "digits" else 0)


def test_folded_weights_follow_new_parameters() -> None:
    model = handlens.architectures.build("digits")
    x = np.random.default_rng(0).random((2, 1, 28, 28), np.float32)
    before = model.predict(x)
    state = model.state_dict()
    state["bn1.running_mean"] += 1
    model.load_state_dict(state)
    assert not np.allclose(before, model.predict(x))
    np.testing.assert_allclose(model.predict(x), model.trace(x)["probabilities"], atol=1e-5)


def test_the_same_plan_gives_the_same_bits_twice() -> None:
    model, backend = handlens.architectures.build("cnn-small"), NumpyBackend()
    plan = training_plan(model, 16, "adam")
    generator = np.random.default_rng(0)
    data = generator.random((16, 1, 28, 28), np.float32)
    labels = generator.integers(0, 10, 16).astype(np.int32)
    ends = []
    for _ in range(2):
        program = drive(backend.load(plan))
        backend.upload(program, "parameters", model.parameters)
        backend.upload(program, "data", data)
        backend.upload(program, "targets", labels)
        control = {
            "rows": np.tile(np.arange(16, dtype=np.int32), (3, 1)),
            "learning_rate": np.full((3, 1), 1e-3, np.float32),
            "step": np.arange(1, 4, dtype=np.float32)[:, None],
        }
        backend.run(program, 3, control)
        found = drive(backend.fetch(program, "parameters", "loss"))
        assert found["loss"].shape == (3, 1)
        ends.append(found["parameters"].tobytes() + found["loss"].tobytes())
    assert ends[0] == ends[1]


def test_running_a_plan_allocates_no_arrays() -> None:
    """After loading, buffers stay where they are."""
    model, backend = small(), NumpyBackend()
    program = drive(backend.load(model.plan()))
    places = {name: array.__array_interface__["data"] for name, array in program.tensors.items()}
    for _ in range(3):
        backend.run(program)
    assert places == {name: array.__array_interface__["data"] for name, array in program.tensors.items()}


def test_a_closed_program_says_so() -> None:
    backend = NumpyBackend()
    program = drive(backend.load(small().plan()))
    backend.close(program)
    backend.close(program)
    with pytest.raises(BackendError, match="closed"):
        backend.run(program)


def test_uploads_and_fetches_are_checked() -> None:
    backend = NumpyBackend()
    program = drive(backend.load(small().plan()))
    with pytest.raises(PlanError, match="shape"):
        backend.upload(program, "input", np.zeros((1, 1, 5, 5), np.float32))
    with pytest.raises(PlanError, match="nothing is called"):
        drive(backend.fetch(program, "conv9"))


def test_backends_say_why_they_cannot_run() -> None:
    assert handlens.backends.available()["numpy"] == ""
    for name in ("tpu", "abacus"):
        with pytest.raises(BackendError, match="use backend='numpy'"):
            handlens.backends.get(name)


def test_an_op_without_gradient_rule_says_so() -> None:
    from handlens.autodiff import backward

    graph = Graph()
    for name in ("x", "g", "b", "m", "v"):
        graph.declare(name, (2, 3) if name == "x" else (3,), "input")
    y = graph.one(find("batch_norm_inference"), ("x", "g", "b", "m", "v"), {"epsilon": 1e-5})
    graph.declare("t", (2, 3), "input")
    loss = graph.one(find("mean_squared_error"), (y, "t"))
    with pytest.raises(PlanError, match="no gradient rule"):
        backward(graph, loss, ["g"])
    assert set(backward(graph, loss, ["x"])) == {"x"}  # of its input it has one


def test_unknown_ops_name_the_nearest() -> None:
    with pytest.raises(PlanError, match="conv2d"):
        find("conv2")


def test_costs_are_those_of_the_op_table() -> None:
    plan = handlens.architectures.build("cnn-small").plan()
    assert plan.multiply_adds == handlens.architectures.build("cnn-small").summary().multiply_adds
    assert plan.bytes_moved > sum(Place.bytes.fget(p) for n, p in plan.tensors.items() if "weight" in n)  # type: ignore[attr-defined]
    with pytest.raises(ShapeError):
        find("conv2d").shapes([(1, 2, 5, 5), (1, 3, 3, 3)], {})


def test_float64_plans_run_in_float64() -> None:
    graph = small().graph(2, dtype="float64")
    plan = make_plan(graph)
    assert {p.dtype for p in plan.tensors.values()} == {"float64"}
