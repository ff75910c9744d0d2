"""WGSL headers and lowerings, none of which need a GPU: what is refused, and what a plan becomes."""

from __future__ import annotations

import dataclasses
import json
from itertools import pairwise

import handlens
import pytest
from handlens.backends import drive
from handlens.backends.webgpu import WebgpuBackend
from handlens.backends.webgpu import lower as _fills_the_table  # noqa: F401
from handlens.backends.webgpu.device import Adapter
from handlens.backends.webgpu.kernels import LARGEST_F32, MOST_BINDINGS, WRITES, all_kernels, kernel, literal, parse
from handlens.backends.webgpu.lowered import LOWERINGS, MOST_GROUPS, SCRATCH, TOGETHER, Builder, Work, lower, reasons
from handlens.errors import BackendError, PlanError
from handlens.graph import Graph
from handlens.memory import ALIGNMENT
from handlens.ops import TABLE, find
from handlens.plan import Plan, make_plan
from handlens.training import training_plan
from op_cases import CASES, Case, draw
from op_runner import case_graph

HEADER = ["//: op relu", "//: in x f32", "//: out y f32", "//: const SIZE u32", "//: workgroup 64 1 1"]
BODY = "@compute @workgroup_size(WORKGROUP_X)\nfn main() { y[0] = x[0]; }"


def text(*changed: tuple[str, str], more: tuple[str, ...] = ()) -> str:
    """The kernel of the tests, with lines replaced and added."""
    lines = [dict(changed).get(line, line) for line in HEADER]
    return "\n".join([*lines, *more, BODY])


def plan_of(op: str, *shapes: tuple[int, ...], dtype: str = "float32", **attrs: object) -> Plan:
    """A plan of one step on inputs of these shapes."""
    graph = Graph(dtype)
    names = [f"in{k}" for k, _ in enumerate(shapes)]
    for name, shape in zip(names, shapes, strict=True):
        graph.declare(name, shape, "input")
    outputs = graph.emit(find(op), names, attrs)
    graph.outputs = {name: name for name in outputs}
    return make_plan(graph)


def case_plan(case: Case) -> Plan:
    """The plan of a case from the op table's list, in float32."""
    graph, outputs = case_graph(case, *draw(case, 0, "float32"), "float32")
    graph.outputs = {name: name for name in outputs}
    return make_plan(graph)


def test_every_op_of_the_table_has_a_lowering_and_nothing_else_has() -> None:
    assert {name for name, op in TABLE.items() if not op.view} == set(LOWERINGS)


def test_every_kernel_serves_an_op_and_writes_something() -> None:
    assert {k.op for k in all_kernels().values()} == set(LOWERINGS)
    assert {k.then for k in all_kernels().values()} - {""} == {then for _, then in TOGETHER}
    for name, one in all_kernels().items():
        assert one.name == name and len(one.slots) <= MOST_BINDINGS and any(s.role in WRITES for s in one.slots)
        assert max(len(line) for line in one.body.splitlines()) <= 120, name


def test_the_kernel_of_the_tests_is_fine() -> None:
    made = parse("relu", text())
    assert made.workgroup == (64, 1, 1) and [s.name for s in made.slots] == ["x", "y"]
    assert parse("relu_fast", text()).op == "relu"


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("relu", text(("//: op relu", "//: op rely")), "relu.wgsl serves 'rely'"),
        ("rely", text(), "rely.wgsl serves 'relu'"),
        ("relu", text(("//: in x f32", "//: in z f32")), "relu.wgsl binds in 'z'"),
        ("relu", text(("//: in x f32", "//: update x f32")), "relu.wgsl binds update 'x'"),
        ("relu", text(("//: in x f32", "//: in x f64")), "relu.wgsl: 'x' holds 'f64'"),
        ("relu", text(more=tuple(f"//: scratch_in s{k} f32" for k in range(7))), "relu.wgsl binds 9 buffers"),
        ("relu", text(("//: in x f32", "//: inn x f32")), "relu.wgsl: '//: inn x f32' is no line"),
        ("relu", text(("//: const SIZE u32", "//: const SIZE u64")), "relu.wgsl: '//: const SIZE u64' is no line"),
        ("relu", text(("//: workgroup 64 1 1", "//: workgroup 64 1")), "relu.wgsl: '//: workgroup 64 1' is no line"),
        ("relu", text(("//: workgroup 64 1 1", "//: workgroup 64 8 1")), "relu.wgsl .* at most 256 invocations"),
        ("relu", text().replace("fn main", "fn other"), "relu.wgsl needs an entry called main"),
        ("relu", "", "relu.wgsl serves ''"),
    ],
)
def test_a_header_that_does_not_fit_is_refused_with_the_files_name(name: str, source: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        parse(name, source)


def test_a_name_that_wgsl_reserves_is_written_with_an_underscore() -> None:
    assert [s.operand for s in kernel("mean_squared_error").slots] == ["y", "target", "loss"]


def test_an_unknown_kernel_is_refused_with_the_known_ones() -> None:
    with pytest.raises(PlanError, match=r"no kernel sine.wgsl.*\brelu\b"):
        kernel("sine")


def test_specialising_prepends_constants_and_bindings() -> None:
    made = parse("relu", text()).specialise({"SIZE": 7}, [False, True])
    assert made.startswith("// relu\nconst SIZE: u32 = u32(7);\nconst WORKGROUP_X = 64u;")
    assert "@binding(0) var<storage, read> x: array<f32>;" in made
    assert "@binding(1) var<storage, read_write> y: array<f32>;" in made and made.endswith(BODY)
    for constants in ({}, {"SIZE": 7, "WIDE": 64}):
        with pytest.raises(PlanError, match=r"relu.wgsl takes the constants \['SIZE'\]"):
            parse("relu", text()).specialise(constants, [False, True])


@pytest.mark.parametrize(
    ("value", "kind", "written"),
    [
        (0, "u32", "u32(0)"),
        (2**32 - 1, "u32", "u32(4294967295)"),
        (-5, "i32", "i32(-5)"),
        (True, "bool", "true"),
        (False, "bool", "false"),
        (1e-5, "f32", "f32(1e-05)"),
        (1 / 255, "f32", "f32(0.00392156862745098)"),
        (2, "f32", "f32(2.0)"),
        (LARGEST_F32, "f32", "f32(3.4028234663852886e+38)"),
    ],
)
def test_constants_as_wgsl_writes_them(value: float, kind: str, written: str) -> None:
    assert literal(value, kind) == written


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        *((-1, "u32"), (2**32, "u32"), (1.5, "u32"), (2**31, "i32")),
        *((float("inf"), "f32"), (float("nan"), "f32"), (1e39, "f32"), (1, "f64")),
    ],
)
def test_values_that_wgsl_cannot_write_are_refused(value: float, kind: str) -> None:
    with pytest.raises(PlanError):
        literal(value, kind)


@pytest.mark.parametrize("count", [1, 255, 256, 257, 256 * MOST_GROUPS, 256 * MOST_GROUPS + 1, 90_000_000])
def test_linear_covers_every_element_once_within_the_limits(count: int) -> None:
    made = lower(plan_of("relu", (count,)))
    wide, rows, deep = made.steps[0].groups
    side = kernel("relu").workgroup[0]
    threads = -(-count // 4)  # of four elements each
    assert max(wide, rows) <= MOST_GROUPS and deep == 1
    assert wide * rows * side >= threads > (wide * rows - rows) * side
    assert f"const SIZE: u32 = u32({threads});\nconst WIDE: u32 = u32({wide * side});" in made.sources[0].text


@pytest.mark.parametrize("channels", [1, MOST_GROUPS, MOST_GROUPS + 1, 5 * MOST_GROUPS - 2])
def test_channels_are_dealt_out_over_two_dimensions(channels: int) -> None:
    shapes = [(1, channels), (channels,), (channels,), (channels,), (1, channels)]
    made = lower(plan_of("batch_norm_dx", *shapes))
    wide, rows, deep = made.steps[0].groups
    assert made.sources[made.steps[0].source].name == "batch_norm_dx_sums"
    assert max(wide, rows) <= MOST_GROUPS and deep == 1
    assert wide * rows >= channels > wide * (rows - 1)
    assert f"const WIDE: u32 = u32({wide});" in made.sources[made.steps[0].source].text


def test_more_workgroups_than_any_adapter_grants_are_refused() -> None:
    plan = plan_of("relu", (3, 5))
    work = Work.of(plan, plan.steps[0], {})
    work.call("relu", (1, MOST_GROUPS + 1, 1), {"SIZE": 4, "WIDE": 64})
    with pytest.raises(PlanError, match=r"relu of step 'relu' asks for \(1, 65536, 1\) workgroups"):
        Builder(plan, {}).dispatch(plan.steps[0], work.calls[0])


def test_scratch_is_aligned_and_disjoint() -> None:
    plan = plan_of("relu", (3, 5))
    work = Work.of(plan, plan.steps[0], {})
    places = [work.scratch(*shape) for shape in ((1,), (64,), (65,), (3, 7, 11), (1,))]
    assert all(place.buffer == SCRATCH and place.offset % ALIGNMENT == 0 for place in places)
    assert all(a.offset + a.bytes <= b.offset for a, b in pairwise(places))
    assert work.scratch_bytes >= places[-1].offset + places[-1].bytes


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_what_a_case_becomes_keeps_to_the_limits(case: Case) -> None:
    plan = case_plan(case)
    made = lower(plan)
    assert made == lower(plan)  # a pure function
    for dispatch in made.steps:
        source = made.sources[dispatch.source]
        bound = list(zip(dispatch.bindings, source.written, strict=True))
        for k, ((buffer, offset, size), changes) in enumerate(bound):
            assert offset % ALIGNMENT == 0 and size > 0 and size % 4 == 0 and offset + size <= made.buffers[buffer]
            for (other, start, length), also in bound[k + 1 :]:
                if other == buffer:
                    assert changes == also, "WebGPU refuses a buffer that one dispatch binds both ways"
                    assert not changes or offset + size <= start or start + length <= offset, "aliased"


def test_buffers_have_no_more_than_their_tensors_need() -> None:
    plan = plan_of("relu", (1001,))
    assert all(size - plan.buffers[name] < ALIGNMENT for name, size in lower(plan).buffers.items())


@pytest.mark.parametrize(("name", "most"), [("linear", 12), ("convnet", 40), ("digits", 80)])
def test_a_training_step_is_few_dispatches(name: str, most: int) -> None:
    model = handlens.architectures.build(name)
    made = lower(training_plan(model, 128, "adam", images=60_000, dtype="uint8"))
    assert len(made.steps) <= most
    assert {"rows", "learning_rate", "step"} <= {row.name for row in made.controls}
    assert {row.name for row in made.records} == {"loss", "correct"}
    assert json.loads(made.to_json())["control_bytes"] == made.control_bytes >= 128 * 4 + 4 + 4


def test_the_same_shader_is_compiled_once() -> None:
    layers = [handlens.ReLU(), handlens.ReLU(), handlens.ReLU()]
    made = lower(handlens.Sequential([handlens.Flatten(), *layers, handlens.Softmax()], (1, 3, 3)).plan())
    assert [d.op for d in made.steps].count("relu") == 3
    assert len({d.source for d in made.steps if d.op == "relu"}) < 3
    assert len(made.sources) == len(set(made.sources))


def test_a_plan_in_float64_is_refused_with_the_reason() -> None:
    assert reasons(plan_of("relu", (3, 4)), 1 << 27) == []
    (why,) = reasons(plan_of("relu", (3, 4), dtype="float64"), 1 << 27)
    assert "computes in float32" in why and "float64" in why


def test_a_buffer_above_the_adapters_limit_is_refused_by_name() -> None:
    plan = training_plan(handlens.architectures.build("linear"), 8, "adam", images=60_000, dtype="uint8")
    (why,) = reasons(plan, 1 << 24)
    assert "'data'" in why and "47,040,000 bytes" in why and "16,777,216" in why


def test_an_op_without_kernel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(LOWERINGS, "relu")
    assert reasons(plan_of("relu", (3, 4)), 1 << 27) == ["no WebGPU kernel for relu"]


def test_what_the_gpu_does_not_gather_or_broadcast_is_refused() -> None:
    graph = Graph()
    graph.declare("data", (4, 3), "input", "uint8")
    graph.declare("rows", (2,), "input", "int32")
    graph.outputs = {"y": graph.one(find("gather"), ("data", "rows"))}
    with pytest.raises(PlanError, match="not uint8 as uint8"):
        lower(make_plan(graph))
    with pytest.raises(PlanError, match="takes 4 axes"):
        lower(plan_of("add", (2, 1, 2, 1, 2, 1), (1, 2, 1, 2, 1, 2)))


class NoDevice:
    """As much of a device as a backend asks before it loads anything."""

    waits, lost = False, ""
    adapter = Adapter("none", True, 1 << 30, 1 << 30)


def test_a_plan_that_no_kernel_serves_is_refused_before_anything_is_loaded() -> None:
    """A size that a lowering refuses is a reason of the backend's, so that a model goes on with NumPy."""
    backend = WebgpuBackend(NoDevice())  # type: ignore[arg-type]
    plan = plan_of("matmul", (2, 1, 3, 1, 2, 1, 4, 5), (1, 2, 1, 3, 1, 2, 5, 6))
    assert len(backend.supports(plan)) == 1
    with pytest.raises(BackendError, match="webgpu cannot run this plan: "):
        drive(backend.load(plan))
    assert backend.supports(plan_of("relu", (3, 4))) == []


def test_a_dispatch_that_is_bound_twice_to_one_place_is_refused() -> None:
    plan = plan_of("relu", (64,))
    place = next(iter(plan.tensors.values()))
    both = dataclasses.replace(plan, tensors=dict.fromkeys(plan.tensors, place))
    with pytest.raises(PlanError, match="relu of step 'relu' is bound twice to byte 0"):
        lower(both)
