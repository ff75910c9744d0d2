"""ONNX models on our ops: what the tests of ONNX's own cases need to run them.

A model is translated node by node into a Graph, planned and replayed by the NumPy backend; all arithmetic is that of
our ops. Where ONNX has an op that we lack, the translation says which of ours computes the same thing.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from handlens.backends import NumpyBackend, drive
from handlens.graph import Graph
from handlens.ops.activation import leaky_relu, relu, sigmoid, softmax, tanh
from handlens.ops.conv import conv2d
from handlens.ops.matmul import add, dense, matmul, reshape, scale
from handlens.ops.normalization import batch_norm_inference
from handlens.ops.pool import avg_pool2d, global_avg_pool2d, max_pool2d
from handlens.plan import make_plan

try:
    import onnx
    from onnx import numpy_helper

    MISSING = ""
except ImportError as error:
    MISSING = f"the onnx package, whose cases these tests run, cannot be imported ({error}); run `make.py setup`"

# The ops whose cases we answer for; a model belongs to these tests when it has one of them.
OPS = (
    *("Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "Gemm", "MatMul", "Relu", "LeakyRelu", "Sigmoid", "Tanh"),
    *("Softmax", "Flatten", "BatchNormalization"),
)
EXPANDED = re.compile(r"_expanded(_ver\d+)?$")
WINDOWED = ("Conv", "MaxPool", "AveragePool")
PADDING = {"VALID": "valid", "SAME_UPPER": "same", "SAME_LOWER": "same_lower"}
RTOL, ATOL = 1e-3, 1e-7  # ONNX's own (TestCase.rtol and .atol); a test holds the node cases to them


@dataclass(frozen=True)
class Case:
    """A model with inputs and the outputs that its makers expect of it."""

    name: str
    model: Any
    inputs: tuple[np.ndarray, ...]
    outputs: tuple[np.ndarray, ...]


# --- collecting


def node_cases() -> dict[str, Case]:
    """ONNX's generated cases with one of OPS, by name; nothing where onnx is missing.

    Making all 1,900 cases takes half a minute, so only those modules are imported that make a node of OPS.
    """
    if MISSING:
        return {}
    package = importlib.import_module("onnx.backend.test.case.node")
    made = re.compile(rf"""make_node\(\s*["']({"|".join(OPS)})["']""")
    for module in pkgutil.iter_modules(package.__path__):
        source = Path(package.__path__[0], f"{module.name}.py")
        if source.is_file() and made.search(source.read_text(encoding="utf-8")):
            importlib.import_module(f"{package.__name__}.{module.name}")
    return chosen(package._NodeTestCases)


def all_node_cases() -> dict[str, Case]:
    """The same through ONNX's own front door, `collect_testcases`: slow."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():  # onnx computes infinities on purpose, in cases of other ops
        warnings.simplefilter("ignore", RuntimeWarning)
        return chosen(collect_testcases(None))


def chosen(cases: list[Any]) -> dict[str, Case]:
    """The cases of OPS as ours, with ONNX's tolerances checked against RTOL and ATOL.

    ONNX repeats cases with the op written out in smaller ones (Softmax as Exp, Div, ..; FlexAttention as MatMul, ..),
    named `.._expanded..`: they are not cases of the ops they happen to hold, and are left out by that rule.
    """
    found = {}
    for case in cases:
        if EXPANDED.search(case.name) or not set(op_types(case.model)) & set(OPS):
            continue
        if (case.rtol, case.atol) != (RTOL, ATOL):
            raise AssertionError(f"{case.name}: onnx asks for {case.rtol}, {case.atol}, these tests for {RTOL}, {ATOL}")
        ((inputs, outputs),) = case.data_sets
        found[case.name] = Case(case.name, case.model, tuple(inputs), tuple(outputs))
    return found


def pytorch_cases() -> dict[str, Case]:
    """The models that PyTorch exported, stored in the onnx package, which have one of OPS; by folder/name."""
    if MISSING:
        return {}
    data = Path(onnx.__file__).parent / "backend" / "test" / "data"
    found = {}
    for folder in ("pytorch-converted", "pytorch-operator"):
        for path in sorted((data / folder).iterdir()):
            model = onnx.load(path / "model.onnx")
            if set(op_types(model)) & set(OPS):
                inputs, outputs = (stored(path / "test_data_set_0", kind) for kind in ("input", "output"))
                found[f"{folder}/{path.name}"] = Case(path.name, model, inputs, outputs)
    return found


def stored(folder: Path, kind: str) -> tuple[np.ndarray, ...]:
    """input_0.pb, input_1.pb, ... of a stored case as arrays."""
    tensors = []
    for k in range(len(list(folder.glob(f"{kind}_*.pb")))):
        tensor = onnx.TensorProto()
        tensor.ParseFromString((folder / f"{kind}_{k}.pb").read_bytes())
        tensors.append(numpy_helper.to_array(tensor))
    return tuple(tensors)


# --- reading a model


def op_types(model: Any) -> list[str]:
    """The op of every node, in order."""
    return [node.op_type for node in model.graph.node]


def attributes(node: Any) -> dict[str, Any]:
    """A node's attributes as Python values, text decoded."""
    values = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    return {k: v.decode() if isinstance(v, bytes) else v for k, v in values.items()}


def reasons_against(case: Case) -> Iterator[str]:
    """The properties, computed from the model, that put a case out of scope; nothing for a case that must run."""
    if any(array.dtype.kind in "iu" for array in (*case.inputs, *case.outputs)):
        yield "integer types"
    for node in case.model.graph.node:
        attrs = attributes(node)
        if node.op_type in WINDOWED:
            spatial = len(attrs["kernel_shape"])
            if spatial != 2:
                yield f"{spatial}-D"
            if attrs.get("group", 1) != 1:
                yield "groups"
            if any(d != 1 for d in attrs.get("dilations", ())):
                yield "dilations"
        if node.op_type == "MaxPool" and len(node.output) > 1:
            yield "argmax output"
        if node.op_type == "BatchNormalization" and attrs.get("training_mode", 0):
            yield "training mode"


# --- translating


class Translation:
    """A model as a graph of our ops. ``tensor`` maps ONNX's names to ours, ``values`` are uploaded before the run."""

    def __init__(self, case: Case) -> None:
        self.case, self.graph = case, Graph(case.inputs[0].dtype.name)
        self.opset = next(o.version for o in case.model.opset_import if o.domain in ("", "ai.onnx"))
        self.tensor: dict[str, str] = {}
        self.values: dict[str, np.ndarray] = {}
        self.turned: set[str] = set()  # tensors whose last two axes the next product has to exchange
        proto = case.model.graph
        weights = {t.name: numpy_helper.to_array(t) for t in proto.initializer}
        free = [i.name for i in proto.input if i.name not in weights]
        for name, value in (weights | dict(zip(free, case.inputs, strict=True))).items():
            self.declare(name, value, "parameter" if name in weights else "input")
        for node in proto.node:
            self.translate(node)
        self.graph.outputs = {o.name: self.read(o.name) for o in proto.output}

    def declare(self, name: str, value: np.ndarray, role: Any) -> None:
        """A tensor that is uploaded."""
        tensor = self.graph.declare(f"onnx.{name}", value.shape, role, value.dtype.name)
        self.tensor[name], self.values[tensor] = tensor, value

    def read(self, name: str) -> str:
        """Our tensor for a name; a transpose may only be read by a product."""
        assert name not in self.turned, f"{self.case.name}: only a product can read the transpose {name!r}"
        return self.tensor[name]

    def translate(self, node: Any) -> None:
        """Emit our ops for one node."""
        rule = RULES.get(node.op_type)
        assert rule is not None, f"{self.case.name}: {node.op_type} is not translated"
        rule(self, node, attributes(node))

    def give(self, node: Any, tensor: str, shape: tuple[int, ...] | None = None) -> None:
        """The node's (first) output is this tensor of ours, under another shape where one is given."""
        if shape is not None and shape != self.graph.shape(tensor):
            tensor = self.graph.one(reshape, (tensor,), {"shape": list(shape)})
        self.tensor[node.output[0]] = tensor

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of one of ONNX's tensors."""
        return self.graph.shape(self.tensor[name])

    def product(self, a: str, b: str, turn_a: bool = False, turn_b: bool = False) -> str:
        """Our matmul on ONNX's names."""
        attrs = {"transpose_a": turn_a != (a in self.turned), "transpose_b": turn_b != (b in self.turned)}
        return self.graph.one(matmul, (self.tensor[a], self.tensor[b]), attrs)

    def reshaped(self, name: str, shape: tuple[int, ...]) -> str:
        """ONNX's tensor under another shape; returns a name that `product` takes."""
        key = f"{name} as {shape}"
        self.tensor[key] = self.graph.one(reshape, (self.read(name),), {"shape": list(shape)})
        return key

    def scaled(self, tensor: str, factor: float) -> str:
        """factor times a tensor of ours."""
        return tensor if factor == 1 else self.graph.one(scale, (tensor,), {"factor": factor})


def geometry(attrs: dict[str, Any]) -> dict[str, Any]:
    """Strides and padding as our windows take them; ONNX's stride is 1 where none is given."""
    assert not {"dilations", "group"} & {k for k in attrs if np.any(np.asarray(attrs[k]) != 1)}, attrs
    auto = attrs.get("auto_pad", "NOTSET")
    padding = PADDING[auto] if auto != "NOTSET" else list(attrs.get("pads", (0, 0, 0, 0)))
    return {"strides": list(attrs.get("strides", (1, 1))), "padding": padding}


def conv(t: Translation, node: Any, attrs: dict[str, Any]) -> None:
    t.give(node, t.graph.one(conv2d, [t.read(i) for i in node.input], geometry(attrs)))


def pool(t: Translation, node: Any, attrs: dict[str, Any]) -> None:
    window = geometry(attrs) | {"pool_size": list(attrs["kernel_shape"]), "ceil_mode": bool(attrs.get("ceil_mode", 0))}
    op = max_pool2d if node.op_type == "MaxPool" else avg_pool2d
    if op is avg_pool2d:
        window["include_pad"] = bool(attrs.get("count_include_pad", 0))
    assert len(node.output) == 1, f"{t.case.name}: the argmax output is not computed"
    t.give(node, t.graph.one(op, (t.read(node.input[0]),), window))


def global_average(t: Translation, node: Any, attrs: dict[str, Any]) -> None:
    x = t.read(node.input[0])
    t.give(node, t.graph.one(global_avg_pool2d, (x,)), (*t.graph.shape(x)[:2], 1, 1))  # ONNX keeps the axes


def gemm(t: Translation, node: Any, attrs: dict[str, Any]) -> None:
    """alpha A B + beta C: our dense layer where it is one (B transposed, C a vector), else product, scale and add."""
    a, b, *c = node.input
    alpha, beta = attrs.get("alpha", 1.0), attrs.get("beta", 1.0)
    turn_a, turn_b = bool(attrs.get("transA", 0)), bool(attrs.get("transB", 0))
    units = t.shape(b)[0]
    vector = all(t.shape(i) in ((units,), (1, units)) for i in c)
    if turn_b and not turn_a and alpha == beta == 1 and vector:
        bias = [t.tensor[t.reshaped(i, (units,))] for i in c]
        t.give(node, t.graph.one(dense, (t.read(a), t.read(b), *bias)))
        return
    made = t.scaled(t.product(a, b, turn_a, turn_b), alpha)
    for i in c:
        made = t.graph.one(add, (made, t.scaled(t.read(i), beta)))
    t.give(node, made)


def mat_mul(t: Translation, node: Any, attrs: dict[str, Any]) -> None:
    """Vectors, which our product refuses, become one row or one column and lose that axis again afterwards."""
    a, b = node.input
    row, column = len(t.shape(a)) == 1, len(t.shape(b)) == 1
    left = t.reshaped(a, (1, *t.shape(a))) if row else a
    right = t.reshaped(b, (*t.shape(b), 1)) if column else b
    made = t.product(left, right)
    *batch, m, n = t.graph.shape(made)
    t.give(node, made, (*batch, *(() if row else (m,)), *(() if column else (n,))))


def activation(t: Translation, node: Any, attrs: dict[str, Any]) -> None:
    op = {"Relu": relu, "LeakyRelu": leaky_relu, "Sigmoid": sigmoid, "Tanh": tanh}[node.op_type]
    t.give(node, t.graph.one(op, (t.read(node.input[0]),), {"alpha": 0.01, **attrs} if op is leaky_relu else {}))


def soft_max(t: Translation, node: Any, attrs: dict[str, Any]) -> None:
    """Along one axis; before opset 13 over all axes from that one on, taken together."""
    x, shape = t.read(node.input[0]), t.shape(node.input[0])
    if t.opset >= 13:
        t.give(node, t.graph.one(softmax, (x,), {"axis": attrs.get("axis", -1)}))
        return
    axis = attrs.get("axis", 1) % len(shape)
    flat = [math.prod(shape[:axis]), math.prod(shape[axis:])]
    rows = t.graph.one(reshape, (x,), {"shape": flat})
    t.give(node, t.graph.one(softmax, (rows,), {"axis": -1}), shape)


def flatten(t: Translation, node: Any, attrs: dict[str, Any]) -> None:
    shape = t.shape(node.input[0])
    axis = attrs.get("axis", 1)
    axis = axis + len(shape) if axis < 0 else axis
    t.give(node, t.read(node.input[0]), (math.prod(shape[:axis]), math.prod(shape[axis:])))


def batch_norm(t: Translation, node: Any, attrs: dict[str, Any]) -> None:
    epsilon = {"epsilon": attrs.get("epsilon", 1e-5)}
    t.give(node, t.graph.one(batch_norm_inference, [t.read(i) for i in node.input], epsilon))


# --- the ops between ours in PyTorch's models


def addition(t: Translation, node: Any, attrs: dict[str, Any]) -> None:
    t.give(node, t.graph.one(add, [t.read(i) for i in node.input]))


def elementwise_product(t: Translation, node: Any, attrs: dict[str, Any]) -> None:
    """Our product on 1x1 matrices, one an element."""
    a, b = node.input
    assert t.shape(a) == t.shape(b), f"{t.case.name}: Mul of {t.shape(a)} by {t.shape(b)}"
    cells = (math.prod(t.shape(a)), 1, 1)
    t.give(node, t.product(t.reshaped(a, cells), t.reshaped(b, cells)), t.shape(a))


def negation(t: Translation, node: Any, attrs: dict[str, Any]) -> None:
    t.give(node, t.scaled(t.read(node.input[0]), -1.0))


def constant(t: Translation, node: Any, attrs: dict[str, Any]) -> None:
    t.declare(node.output[0], numpy_helper.to_array(attrs["value"]), "parameter")


def new_axes(t: Translation, node: Any, attrs: dict[str, Any]) -> None:
    """Squeeze and Unsqueeze, with the axes as an attribute (opset < 13): the same elements under another shape."""
    shape = list(t.shape(node.input[0]))
    if node.op_type == "Unsqueeze":
        for axis in sorted(attrs["axes"]):
            shape.insert(axis, 1)
    else:
        shape = [n for k, n in enumerate(shape) if k not in attrs["axes"]]
    t.give(node, t.read(node.input[0]), tuple(shape))


def transpose(t: Translation, node: Any, attrs: dict[str, Any]) -> None:
    """Of a matrix, left to the product that reads it."""
    assert attrs["perm"] == [1, 0], f"{t.case.name}: Transpose by {attrs['perm']}"
    t.give(node, t.read(node.input[0]))
    t.turned.add(node.output[0])


def split(t: Translation, node: Any, attrs: dict[str, Any]) -> None:
    """Equal parts along one of the last two axes: the product with a matrix of ones and zeros that picks them."""
    (x,), shape = node.input, t.shape(node.input[0])
    axis = attrs.get("axis", 0) % len(shape)
    size = shape[axis] // len(node.output)
    assert "split" not in attrs and axis >= len(shape) - 2, f"{t.case.name}: Split by {attrs} of {shape}"
    for k, output in enumerate(node.output):
        pick = np.eye(shape[axis], dtype=t.graph.dtype)[:, k * size : (k + 1) * size]
        t.declare(f"{output} pick", np.ascontiguousarray(pick), "parameter")
        last = axis == len(shape) - 1
        made = t.product(x, f"{output} pick") if last else t.product(f"{output} pick", x, turn_a=True)
        t.tensor[output] = made


RULES: dict[str, Callable[[Translation, Any, dict[str, Any]], None]] = {
    "Conv": conv,
    "MaxPool": pool,
    "AveragePool": pool,
    "GlobalAveragePool": global_average,
    "Gemm": gemm,
    "MatMul": mat_mul,
    **dict.fromkeys(("Relu", "LeakyRelu", "Sigmoid", "Tanh"), activation),
    "Softmax": soft_max,
    "Flatten": flatten,
    "BatchNormalization": batch_norm,
    "Add": addition,
    "Mul": elementwise_product,
    "Neg": negation,
    "Constant": constant,
    "Squeeze": new_axes,
    "Unsqueeze": new_axes,
    "Transpose": transpose,
    "Split": split,
}


def run(case: Case) -> list[np.ndarray]:
    """The model's outputs, computed by our plan of it."""
    translated = Translation(case)
    backend = NumpyBackend()
    program = drive(backend.load(make_plan(translated.graph)))
    for tensor, value in translated.values.items():
        backend.upload(program, tensor, value)
    backend.prepare(program)
    backend.run(program)
    names = [o.name for o in case.model.graph.output]
    found = drive(backend.fetch(program, *names))
    return [found[name] for name in names]


def check(case: Case) -> None:
    """Run a case and compare shape, type and values with what its makers expect."""
    outputs = run(case)
    assert len(outputs) == len(case.outputs)
    for got, expected in zip(outputs, case.outputs, strict=True):
        assert got.dtype == expected.dtype, f"{case.name}: {got.dtype} is not {expected.dtype}"
        assert got.shape == expected.shape, f"{case.name}: {got.shape} is not {expected.shape}"
        np.testing.assert_allclose(got, expected, rtol=RTOL, atol=ATOL, err_msg=case.name)
