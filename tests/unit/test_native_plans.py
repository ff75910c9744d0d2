"""Plans for the compiled kernels: what is fused and where it lies, what ops and errors are called, what is refused."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import plan_fuzz
import pytest
import sanitized
import step_kernels
from handlens import architectures
from handlens.augment import Augment
from handlens.backends import drive
from handlens.backends.native import NativeBackend, ops_table
from handlens.backends.native import backend as native_backend
from handlens.backends.native import library as kernels
from handlens.backends.native.attributes import ACTIVATIONS, RULES, attributes
from handlens.backends.native.encode import DTYPES, HEADER, MAGIC, PLACE, encode
from handlens.backends.native.lower import ARENA, Lowered, lower
from handlens.errors import BackendError, PlanError
from handlens.graph import Graph
from handlens.ops import TABLE, find
from handlens.plan import Plan, make_plan
from handlens.training import training_plan

SEED = int(os.environ.get("HANDLENS_FUZZ_SEED", "5"))
PLANS = int(os.environ.get("HANDLENS_FUZZ_PLANS", "20000"))  # malformed ones; more are for nights
FLIPPED = 20000  # as many malformed ones again under sanitizers, and as many flipped at random
SOURCES = step_kernels.SOURCES
FUSED = {"conv2d_max_pool2d"}  # what only lower.py makes


@pytest.fixture(scope="module")
def library() -> kernels.Library:
    """The best build for this host. Fails where there is none: `make.py test` builds them."""
    try:
        return kernels.find()
    except BackendError as error:
        pytest.fail(str(error))


def training(name: str) -> Plan:
    """A training of a network on bytes, augmented."""
    return training_plan(architectures.build(name), 4, "adam", images=6, dtype="uint8", augment=Augment())


def ops(lowered: Lowered) -> list[str]:
    """The calls' names."""
    return [call.op for call in lowered.steps]


# ---- fusions and memory


def test_convnet_reads_by_four_calls() -> None:
    plan = architectures.build("convnet").plan(2)
    assert ops(lower(plan)) == ["conv2d_max_pool2d", "conv2d_max_pool2d", "dense", "softmax"]
    pooled = lower(plan).steps[0]
    assert len(pooled.outputs) == 1  # nothing else reads the maps: they are not kept
    assert pooled.attrs["pool_kernel_h"] == pooled.attrs["pool_stride_w"] == 2
    assert ACTIVATIONS[int(pooled.attrs["activation"])] == "relu"
    assert ops(lower(plan, fused=False)) == [step.op for step in plan.steps]


def test_convnet_learns_with_the_maps_kept_and_the_adjoints_joined() -> None:
    plan = training("convnet")
    plain, fused = lower(plan, fused=False), lower(plan)
    joined = [call for call in fused.steps if call.op == "conv2d_max_pool2d"]
    assert [len(call.outputs) for call in joined] == [2, 2]
    adjoints = [call for call in fused.steps if call.op == "max_pool2d_dx"]
    assert [call.attrs["relu"] for call in adjoints] == [1.0, 1.0]
    assert all(call.attrs["relu"] == 0.0 for call in plain.steps if call.op == "max_pool2d_dx")
    assert ops(plain).count("relu_dx") - ops(fused).count("relu_dx") == 2
    assert len(plain.steps) - len(fused.steps) == 4


def maps_and_pool(keep: bool, **pool: object) -> Plan:
    """A convolution and a pooling; `keep`: the maps are a public output."""
    graph = Graph("float32")
    graph.declare("x", (1, 1, 8, 8), "input")
    graph.declare("w", (2, 1, 3, 3), "input")
    maps = graph.one(find("conv2d"), ("x", "w"), {})
    pooled = graph.one(find("max_pool2d"), (maps,), {"pool_size": [2, 2], **pool})
    graph.outputs = {"pooled": pooled} | ({"maps": maps} if keep else {})
    return make_plan(graph)


@pytest.mark.parametrize(("pool", "joined"), [({}, True), ({"padding": 1}, False), ({"pool_size": [4, 4]}, True)])
def test_a_pooling_is_joined_where_no_window_leaves_the_maps(pool: dict[str, object], joined: bool) -> None:
    assert ops(lower(maps_and_pool(False, **pool))) == (["conv2d_max_pool2d"] if joined else ["conv2d", "max_pool2d"])


def test_a_pooling_with_a_window_beyond_the_edge_is_not_joined() -> None:
    plan = maps_and_pool(False, pool_size=[4, 4], strides=[4, 4], ceil_mode=True)
    assert ops(lower(plan)) == ["conv2d", "max_pool2d"]


def test_maps_that_are_a_public_output_are_kept(library: kernels.Library) -> None:
    plan = maps_and_pool(True)
    (joined,) = lower(plan).steps
    assert joined.outputs == (plan.outputs["maps"], plan.outputs["pooled"])
    chance = np.random.default_rng(1)
    x, w = chance.random((1, 1, 8, 8), np.float32), chance.random((2, 1, 3, 3), np.float32)
    backend = NativeBackend(library)
    program = drive(backend.load(plan))
    backend.upload(program, "x", x)
    backend.upload(program, "w", w)
    backend.run(program)
    found = drive(backend.fetch(program, "maps", "pooled"))
    patches = np.lib.stride_tricks.sliding_window_view(x[0, 0], (3, 3))
    maps = np.einsum("hwij,fij->fhw", patches, w[:, 0])
    np.testing.assert_allclose(found["maps"][0], maps, rtol=1e-5)
    np.testing.assert_allclose(found["pooled"][0], maps.reshape(2, 3, 2, 3, 2).max((2, 4)), rtol=1e-5)


@pytest.mark.parametrize("plan", [architectures.build("convnet").plan(2), architectures.build("digits").plan(1)])
def test_maps_that_nobody_reads_take_no_room(plan: Plan) -> None:
    assert lower(plan).buffers[ARENA] < plan.buffers[ARENA]


def test_no_two_values_in_use_share_memory() -> None:
    for plan in (training("convnet"), training("digits")):
        lowered = lower(plan)
        for call in lowered.steps:
            written = [lowered.tensors[name] for name in (*call.outputs, *call.updates)]
            read = [lowered.tensors[name] for name in call.inputs]
            for k, one in enumerate(written):
                for other in (*written[:k], *read):
                    apart = one.buffer != other.buffer or not (
                        one.offset < other.offset + other.bytes and other.offset < one.offset + one.bytes
                    )
                    assert apart, f"{call.op} of {call.layer} writes over itself"


# ---- names


def test_every_op_has_a_compiled_kernel_and_nothing_else_has(library: kernels.Library) -> None:
    wanted = {name for name, op in TABLE.items() if not op.view} | FUSED
    rows = set(re.findall(r"^  OP\((\w+),", (SOURCES / "ops.h").read_text("ascii"), re.MULTILINE))
    assert rows == set(library.ops) == set(ops_table.installed().ops) == wanted
    assert wanted <= {path.stem for path in SOURCES.glob("*.c")}  # one file an op, of its name


def test_attributes_are_called_alike_on_both_sides(library: kernels.Library) -> None:
    rows = library.ops
    known = {name for row in rows.values() for name in row.attributes}
    for plan in plan_fuzz.plans().values():
        for step in (*plan.prologue, *plan.steps):
            given = set(attributes(plan, step))
            assert set(rows[step.op].attributes) <= given <= known, step.op
    assert set(RULES) <= set(rows)
    assert {name for name in set(rows) - FUSED if rows[name].attributes} == set(RULES)


def test_every_error_has_a_sentence() -> None:
    text = (SOURCES / "handlens.h").read_text("ascii")
    codes = {int(code) for code in re.findall(r"HL_E_[A-Z]+ = (-\d+)", text)}
    assert codes == set(kernels.REASONS) == set(plan_fuzz.ERRORS)
    assert len(set(kernels.REASONS.values())) == len(codes)


def test_an_encoded_plan_says_what_the_plan_says(library: kernels.Library) -> None:
    plan = maps_and_pool(False)
    lowered = lower(plan)
    data = encode(plan, lowered, library.ops, library.ops_hash)
    head = HEADER.unpack_from(data)
    row = library.ops["conv2d_max_pool2d"]
    assert head[:3] == (MAGIC, len(data), library.ops_hash)
    assert head[3:11] == (len(row.attributes), len(lowered.buffers), len(lowered.tensors), 6 + 3, 0, 1, 0, 0)
    names = list(lowered.tensors)
    for k, (name, place) in enumerate(lowered.tensors.items()):
        offset, _, dtype, rank, *dims, zero = PLACE.unpack_from(data, HEADER.size + 8 * (head[3] + head[4]) + 48 * k)
        found = (offset, DTYPES[dtype], tuple(dims[:rank]), zero)
        assert found == (place.offset, place.dtype, tuple(place.shape), 0), name
    words = np.frombuffer(data, np.int32, 9, len(data) - 36).tolist()
    assert words[:6] == [row.number, 2, 1, 0, len(row.attributes), 0]
    assert [names[k] for k in words[6:]] == ["x", "w", plan.outputs["pooled"]]
    with pytest.raises(PlanError, match="asks for 'top', which the plan does not say"):
        call = replace(lowered.steps[0], attrs={k: v for k, v in lowered.steps[0].attrs.items() if k != "top"})
        encode(plan, replace(lowered, steps=(call,)), library.ops, library.ops_hash)


# ---- refusals


def test_malformed_plans_are_refused(library: kernels.Library, capsys: pytest.CaptureFixture[str]) -> None:
    said = plan_fuzz.all_refused(library, SEED, PLANS)
    with capsys.disabled():
        print(f"\n{said}")
    for kind in plan_fuzz.KINDS:
        assert re.search(rf"{kind.__name__} \d{{3,}}", said), f"too few of {kind.__name__}"


def fuzzed(library: Path, count: int) -> None:
    """The same under sanitizers, and plans flipped at random, run where they are accepted."""
    said = sanitized.passed(library, "fuzz", str(SEED), str(count), timeout=600 + count / 100)
    counts = re.search(r"^flipped .+'run': (\d+)", said, re.MULTILINE)
    assert counts and int(counts[1]) > count / 20, said[-2000:]


def test_no_malformed_plan_reaches_beyond_its_memory(sanitized_kernels: Path) -> None:
    fuzzed(sanitized_kernels, FLIPPED)


@pytest.mark.sweep
def test_no_malformed_plan_of_many_reaches_beyond_its_memory(sanitized_kernels: Path) -> None:
    fuzzed(sanitized_kernels, 10 * PLANS)


class Loading:
    """hl_load_plan's arguments for a good plan, for one of them to be spoilt."""

    def __init__(self, library: kernels.Library) -> None:
        plan = training_plan(architectures.build("linear"), 2, "adam")
        self.c = library.c
        self.plan = np.frombuffer(encode(plan, lower(plan), library.ops, library.ops_hash), np.uint8)
        self.data = native_backend.room(self.plan.size + 64)
        self.data[: self.plan.size] = self.plan
        self.sizes = (ctypes.c_size_t * 5)()
        assert self.c.hl_measure(self.data.ctypes.data, self.plan.size, ctypes.addressof(self.sizes)) == 0
        at = HEADER.size + 8 * int(HEADER.unpack_from(self.plan)[3])
        self.lengths = np.frombuffer(self.plan.tobytes(), np.int64, int(HEADER.unpack_from(self.plan)[4]), at).tolist()
        self.buffers = [native_backend.room(n + 64) for n in self.lengths]
        self.addresses = [b.ctypes.data for b in self.buffers]
        self.memory, self.scratch = (native_backend.room(self.sizes[k] + 128) for k in (0, 1))
        self.shift = {"plan": 0, "memory": 0, "scratch": 0}
        self.short = {"plan": 0, "memory": 0, "scratch": 0}
        self.count = len(self.buffers)

    def load(self) -> int:
        """The kernels' answer; the buffers stay as they are."""
        addresses = (ctypes.c_void_p * (self.count + 2))(*self.addresses)
        lengths = (ctypes.c_size_t * (self.count + 2))(*self.lengths)
        sizes = (self.plan.size, self.sizes[0], self.sizes[1])
        places = zip((self.data, self.memory, self.scratch), self.shift, sizes, strict=True)
        given = {name: (a.ctypes.data + self.shift[name], n - self.short[name]) for a, name, n in places}
        error = self.c.hl_load_plan(
            *(*given["plan"], ctypes.addressof(addresses), ctypes.addressof(lengths), self.count),
            *(*given["memory"], *given["scratch"]),
        )
        assert not any(b.any() for b in self.buffers)
        assert not self.scratch.any()
        return int(error)


def no_buffer(loading: Loading) -> None:
    loading.addresses[0] = 0


def short_buffer(loading: Loading) -> None:
    loading.lengths[-1] -= 1


def odd_buffer(loading: Loading) -> None:
    loading.addresses[0] += 1


def one_more(loading: Loading) -> None:
    loading.count += 1


def one_less(loading: Loading) -> None:
    loading.count -= 1


def shifted(name: str, by: int) -> Callable[[Loading], None]:
    return lambda loading: loading.shift.update({name: by})


def shortened(name: str, by: int) -> Callable[[Loading], None]:
    return lambda loading: loading.short.update({name: by})


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        *((how, -3) for how in (no_buffer, short_buffer, odd_buffer, one_more, one_less)),
        *((shifted(name, by), -11) for name in ("plan", "memory", "scratch") for by in (1, 4)),
        *((shifted(name, 32), -11) for name in ("memory", "scratch")),
        *((shortened("memory", by), -11) for by in (1, 64)),
        (shortened("plan", 8), -2),
    ],
)
def test_a_good_plan_on_bad_memory_is_refused(
    library: kernels.Library, spoil: Callable[[Loading], None], error: int
) -> None:
    loading = Loading(library)
    spoil(loading)
    assert loading.load() == error


def test_rows_of_another_size_and_steps_that_are_not_there_are_refused(library: kernels.Library) -> None:
    loading = Loading(library)
    c, at = library.c, loading.memory.ctypes.data
    assert c.hl_run(at, 1, None, 0, None, 0) == c.hl_prepare(at) == c.hl_run_part(at, 0, 1) == -1  # nothing is loaded
    assert loading.load() == 0
    control, record = loading.sizes[2], loading.sizes[3]
    assert control and record
    rows, kept = np.zeros(4 * control, np.uint8), np.zeros(4 * record, np.uint8)
    for count, given, taken in ((1, control - 4, record), (1, control, record + 4), (2, control, 2 * record)):
        assert c.hl_run(at, count, rows.ctypes.data, given, kept.ctypes.data, taken) == -12
    assert c.hl_run(at, 1, None, 0, None, 0) == -12  # no room for what it records
    assert c.hl_run(at, -1, rows.ctypes.data, control, kept.ctypes.data, record) == -13
    steps = int(HEADER.unpack_from(loading.plan)[8])
    for first, last in ((-1, 1), (0, steps + 1), (2, 1), (2**31 - 1, 2**31 - 1)):
        assert c.hl_run_part(at, first, last) == -13
    assert not any(b.any() for b in loading.buffers)


def test_a_plan_that_asks_for_absurd_memory_is_refused_by_its_bytes(library: kernels.Library) -> None:
    graph = Graph("float32")
    graph.declare("x", (1, 1, 4, 4), "input")
    graph.declare("dy", (1, 2, 3, 3), "input")
    attrs = {"padding": 12000, "strides": [12000, 12000], "kernel_size": [3, 3], "bias": False}
    outputs = graph.emit(find("conv2d_dw"), ["x", "dy"], attrs)
    graph.outputs = {name: name for name in outputs}
    with pytest.raises(BackendError, match=r"asks for \d,\d{3},\d{3},\d{3} bytes of memory .+ at most 1,073,741,824"):
        drive(NativeBackend(library).load(make_plan(graph)))
