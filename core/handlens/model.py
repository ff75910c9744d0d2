"""Sequential: layers in a row, their parameters, and the plans made from them."""

from __future__ import annotations

import copy
import math
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import backends, losses
from .errors import BackendError, DataError, ShapeError
from .fuse import fuse
from .graph import Array, Graph, Shape
from .initializers import initialize
from .layers import Flatten, Layer, from_config
from .memory import Layout
from .ops.activation import softmax
from .ops.conv import conv2d
from .plan import Plan, make_plan
from .seeds import checked_seed
from .summary import Summary, summarize

if TYPE_CHECKING:
    from .inside.explain import Explanation
    from .training import History, Training

GAP_HINT = ", or end the network in GlobalAvgPool2D, which takes any size"
# Names of tensors and outputs that are not layers'; a layer called so would hide them.
RESERVED = {"input", "probabilities", "outputs", "data", "targets", "rows", "batch", "batch_targets", "loss"}
RESERVED |= {"parameters", "gradients", "moment_1", "moment_2", "velocity", "learning_rate", "step", "dropout_seed"}
MAX_BATCH = 256
KEPT_PROGRAMS = 8


class Sequential:
    """A network of layers in a row.

    layers: in order; they are copied, and own no weights: those move between networks by ``state_dict``.
    input_shape: (channels, height, width), or (inputs,) for vectors. seed: of the initial weights.
    loss: "cross_entropy" (outputs are scores of classes), "mean_squared_error" (outputs are numbers), or a loss.
    Raises ShapeError naming the layer, the shapes met and a way out where layers do not fit.

        >>> model = Sequential([Conv2D(8, 3, activation="relu"), MaxPool2D(2), Flatten(), Dense(10)], (1, 28, 28))
        >>> model.predict(images)          # (N, 10) probabilities
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        input_shape: Sequence[int] = (1, 28, 28),
        seed: int = 0,
        name: str = "model",
        loss: str | losses.Loss = "cross_entropy",
        backend: str = "numpy",
        weights: Mapping[str, Array] | None = None,
    ) -> None:
        if not layers:
            raise ShapeError("a network needs at least one layer")
        self.input_shape: Shape = checked_input_shape(input_shape)
        self.layers = [copy.copy(layer) for layer in layers]  # named here: the caller's objects stay as they are
        self.seed, self.name, self.loss = checked_seed(seed), name, losses.get(loss)
        self.metadata: dict[str, Any] = {}
        self.backend = backends.get(backend)
        self.handed_over: list[str] = []  # why a backend before this one was left
        self._programs: OrderedDict[tuple[Any, ...], backends.Program] = OrderedDict()
        name_layers(self.layers)
        self._build(weights)

    # --- parameters

    def _build(self, weights: Mapping[str, Array] | None) -> None:
        """Walk the shapes once, lay the parameters out, and draw their initial values in layer order.

        With ``weights``, every shape is held against them before any memory is taken: a file that lies about its
        architecture cannot ask for more than it holds.
        """
        generator = np.random.Generator(np.random.PCG64(self.seed))
        graph = Graph()
        x = graph.declare("input", (1, *self.input_shape), "input")
        initial: dict[str, tuple[str, Shape]] = {}
        trainable: list[tuple[str, Shape]] = []
        running: list[tuple[str, Shape]] = []
        for layer in self.layers:
            graph.layer, graph.label = layer.name, layer.label
            for p in layer.parameters(graph.shape(x)[1:]):
                full = f"{layer.name}.{p.name}"
                initial[full] = p.initializer, p.shape
                given = p.shape if weights is None else np.shape(weights[full]) if full in weights else "nothing"
                if given != p.shape:
                    raise DataError(f"{full}: the network has {p.shape}, the weights {given}")
                (trainable if p.trainable else running).append((full, p.shape))
                graph.declare(full, p.shape, "parameter" if p.trainable else "state")
            x = layer.emit(graph, x, training=False)
        self.output_shape: Shape = graph.shape(x)[1:]
        if len(self.output_shape) != 1 and self.loss.classifies:
            raise ShapeError(
                f"the network ends in {self.output_shape}, not in one score a class; "
                "end it with Flatten() and Dense(classes), or GlobalAvgPool2D()"
            )
        self.layout, self.state_layout = Layout.of(trainable), Layout.of(running)
        self.parameters = np.zeros(self.layout.size, np.float32)
        self.state = np.zeros(self.state_layout.size, np.float32)
        self._names = list(initial)
        if weights is not None:
            return self.load_state_dict(weights)
        for full, (initializer, shape) in initial.items():
            self._array(full)[...] = initialize(initializer, shape, generator)
        return None

    def _array(self, name: str) -> Array:
        """A parameter or running statistic as a view of its flat buffer."""
        layout, flat = (
            (self.layout, self.parameters) if name in self.layout.offsets else (self.state_layout, self.state)
        )
        shape, offset = layout.shapes[name], layout.offsets[name]
        return flat[offset : offset + math.prod(shape)].reshape(shape)

    def parameter(self, name: str) -> Array:
        """A parameter or running statistic by its name in :meth:`state_dict`, as a view of the model's own memory."""
        if name not in self._names:
            raise DataError(f"the network has no parameter called {name!r}; there are: {', '.join(self._names)}")
        return self._array(name)

    @property
    def parameter_count(self) -> int:
        """Number of trainable parameters."""
        return sum(math.prod(s) for s in self.layout.shapes.values())

    def state_dict(self) -> dict[str, Array]:
        """Copies of all parameters and running statistics, in layer order, weight before bias."""
        return {name: self._array(name).copy() for name in self._names}

    def load_state_dict(self, arrays: Mapping[str, Array]) -> None:
        """Set all parameters at once; nothing is changed unless every name, shape and value fits (DataError)."""
        missing, extra = [n for n in self._names if n not in arrays], [n for n in arrays if n not in self._names]
        if missing or extra:
            raise DataError(
                f"parameters do not fit this network: missing {missing or 'none'}, unknown {extra or 'none'}"
            )
        for name in self._names:
            value = np.asarray(arrays[name])
            if value.shape != self._array(name).shape:
                raise DataError(f"{name}: the network has {self._array(name).shape}, the given array {value.shape}")
            if not np.isfinite(value).all():
                raise DataError(f"{name}: holds values that are not finite; the weights are damaged")
        for name in self._names:
            self._array(name)[...] = arrays[name]

    # --- graphs and plans

    def emit(self, graph: Graph, x: str, training: bool) -> tuple[dict[str, str], str]:
        """Declare the parameters in a graph and emit all layers on tensor ``x``.

        Returns layer name -> output tensor, and the scores: what a classifier's loss sees, before a final softmax.
        """
        for layout, role in ((self.layout, "parameter"), (self.state_layout, "state")):
            for name, shape in layout.shapes.items():
                graph.layer = name.split(".")[0]
                graph.declare(name, shape, "parameter" if role == "parameter" else "state")
        made: dict[str, str] = {}
        for layer in self.layers:
            graph.layer, graph.label = layer.name, layer.label
            x = layer.emit(graph, x, training)
            made[layer.name] = x
        graph.layer = graph.label = ""
        last = graph.nodes[-1] if graph.nodes else None
        softened = last is not None and last.op is softmax and last.outputs[0] == x
        return made, last.inputs[0] if last is not None and softened else x

    def graph(self, batch: int = 1, input_shape: Shape | None = None, dtype: str = "float32") -> Graph:
        """The inference graph with public outputs: every layer, "logits" and "probabilities" (or "outputs")."""
        shape = tuple(input_shape or self.input_shape)
        graph = Graph(dtype)
        x = graph.declare("input", (batch, *shape), "input")
        try:
            made, scores = self.emit(graph, x, training=False)
        except ShapeError as error:
            if shape == self.input_shape:
                raise
            built, got = ("x".join(map(str, s[-2:])) for s in (self.input_shape, shape))
            free = "" if not any(isinstance(x, Flatten) for x in self.layers) else GAP_HINT
            raise ShapeError(
                f"{error}: the network was built for {built} images and met {got}; resize the image to {built}{free}"
            ) from None
        graph.outputs = dict(made)
        if self.loss.classifies:
            last = made[self.layers[-1].name]
            graph.outputs["logits"] = scores
            graph.outputs["probabilities"] = (
                last if last != scores else graph.one(softmax, (scores,), name="probabilities")
            )
        else:
            graph.outputs["outputs"] = made[self.layers[-1].name]
        return graph

    def plan(self, batch: int = 1, input_shape: Shape | None = None, keep: str = "outputs") -> Plan:
        """The inference plan: fused, memory shared. ``keep="all"`` keeps every layer's values readable, unfused."""
        graph = self.graph(batch, input_shape)
        if keep != "all":
            shown = ("logits", "probabilities") if self.loss.classifies else ("outputs",)
            graph.outputs = {name: graph.outputs[name] for name in shown}
            fuse(graph)
        else:  # what stands before an activation is read too: a backend that packs memory anew must keep it
            before = [f"{layer.name}.linear" for layer in self.layers]
            graph.outputs |= {name: name for name in before if name in graph.tensors}
            for node in graph.nodes:
                if node.op is conv2d:
                    node.attrs["direct"] = True  # every number shown is the sum of the terms shown
        return make_plan(graph, self.layout, self.state_layout, keep=keep)

    async def _program(self, key: tuple[Any, ...]) -> backends.Program:
        """A loaded inference program, by (batch, shape, keep), that works on this model's own parameter memory.

        It is out of the cache until :meth:`_put_back`: calls that overlap in an event loop each get one of their own.
        """
        program = self._programs.pop(key, None)
        if program is None:
            program = await self.loaded(self.plan(*key))
        return program

    async def loaded(self, plan: Plan) -> backends.Program:
        """A plan over this model's own parameter memory, loaded on its backend; the caller closes it."""
        shared = {"parameters": self.parameters, "state": self.state}
        return await self.backend.load(plan, {name: array for name, array in shared.items() if name in plan.buffers})

    def _put_back(self, key: tuple[Any, ...], program: backends.Program, backend: backends.Backend) -> None:
        if backend is self.backend:
            self._keep(key, program)
        else:  # another took over meanwhile
            backend.close(program)

    async def _answer(
        self, key: tuple[Any, ...], images: Array, names: Callable[[Plan], Sequence[str]], cooperative: bool
    ) -> dict[str, Array]:
        """What a program of that key makes of images, under the names that ``names`` picks from its plan."""
        backend, program = self.backend, await self._program(key)
        try:
            backend.prepare(program)  # the parameters may have changed since the last call
            return await backend.answer(program, "input", images, *names(program.plan), cooperative=cooperative)
        finally:
            self._put_back(key, program, backend)

    def _keep(self, key: tuple[Any, ...], program: backends.Program) -> None:
        spare = self._programs.pop(key, None)
        self._programs[key] = program
        if spare is None and len(self._programs) > KEPT_PROGRAMS:
            spare = self._programs.popitem(last=False)[1]
        if spare is not None:
            self.backend.close(spare)

    def forget_programs(self) -> None:
        """Drop the loaded programs; for when the loss, and with it the outputs, has changed."""
        while self._programs:
            self.backend.close(self._programs.popitem()[1])

    def use(self, backend: str | backends.Backend, reason: str = "") -> None:
        """Compute on another backend from now on; ``reason`` is kept in ``handed_over`` where one has failed."""
        self.forget_programs()
        self.backend = backends.get(backend) if isinstance(backend, str) else backend
        if reason:
            self.handed_over.append(reason)

    def __getstate__(self) -> dict[str, Any]:
        """For copies: loaded programs stay behind, since they work on this model's memory."""
        return {**self.__dict__, "_programs": OrderedDict()}

    # --- use

    def predict(self, x: Array, logits: bool = False, batch_size: int = MAX_BATCH) -> Array:
        """Class probabilities (N, classes) float32; ``logits=True`` for the scores before the softmax.

        x: images (N, C, H, W), or (N, H, W) for one channel; floats as trained on (0..1 for the shipped weights), or
        uint8, which is divided by 255. A network whose loss is not a classifier's returns its outputs as they are.
        Raises ShapeError and DataError for what does not fit.
        """
        return backends.drive(self._predict(x, logits, batch_size, cooperative=False))

    async def predict_async(self, x: Array, logits: bool = False, batch_size: int = MAX_BATCH) -> Array:
        """:meth:`predict` for an event loop, which gets a turn at least every 50 ms."""
        return await self._predict(x, logits, batch_size, cooperative=True)

    async def _predict(self, x: Array, logits: bool, batch_size: int, cooperative: bool) -> Array:
        images, size = self.checked_images(x), max(1, batch_size)
        name = "outputs" if not self.loss.classifies else "logits" if logits else "probabilities"
        return (await self._sound(lambda: self._outputs(images, name, size, cooperative)))[0]

    async def _sound(self, work: Callable[[], Awaitable[list[Array]]]) -> list[Array]:
        """The arrays that ``work`` computes; where a backend but NumPy fails at it, or gives values that are not
        finite, the next one takes over for good."""
        while True:
            backend = self.backend
            try:
                found = await work()
                if backend.name == "numpy" or all(map(finite, found)):
                    return found
                raise BackendError(f"{backend.name} gave values that are not finite")
            except BackendError as error:
                if backend.name == "numpy":
                    raise
                if self.backend is backend:  # else a call beside this one has handed over already
                    self.use(backends.after(backend.name), str(error))

    async def _outputs(self, images: Array, name: str, size: int, cooperative: bool) -> list[Array]:
        parts = []
        for start in range(0, len(images), size):
            part = images[start : start + size]
            key = (len(part), part.shape[1:], "outputs")
            parts.append((await self._answer(key, part, lambda plan: (name,), cooperative))[name])
        if len(parts) == 1:
            return parts
        return [np.concatenate(parts) if parts else np.zeros((0, *self.output_shape), np.float32)]

    def trace(self, x: Array) -> dict[str, Array]:
        """Every intermediate of the network for ``x`` (N, C, H, W), in order of computation.

        "input", then each layer by name ("<layer>.linear" before an activation inside it), then "logits" and
        "probabilities". One image at a time or a small batch: everything is kept.
        """
        return backends.drive(self.trace_async(x))

    async def trace_async(self, x: Array) -> dict[str, Array]:
        """:meth:`trace` for an event loop."""
        images, names = self.checked_images(x), dict[str, str]()
        return dict(zip(names, await self._sound(lambda: self._values(images, names)), strict=True))

    async def _values(self, images: Array, names: dict[str, str]) -> list[Array]:
        """All intermediate values; ``names`` is filled with what they are called and the tensors they are."""

        def every(plan: Plan) -> Sequence[str]:
            names["input"] = "input"
            for layer in self.layers:
                if f"{layer.name}.linear" in plan.tensors:
                    names[f"{layer.name}.linear"] = f"{layer.name}.linear"
                names[layer.name] = plan.outputs[layer.name]
            names.update({name: tensor for name, tensor in plan.outputs.items() if name not in names})
            return list(names.values())

        found = await self._answer((len(images), images.shape[1:], "all"), images, every, cooperative=False)
        return [found[tensor] for tensor in names.values()]

    def explain(self, x: Array, layer: str, index: int | Sequence[int]) -> Explanation:
        """How one number came about: cell ``index`` (without the batch) of ``layer``, any key of :meth:`trace`.

        x: one image, (H, W), (C, H, W) or a batch of one. To explain many cells of one image, or from a trace that is
        at hand, take a :class:`handlens.inside.explain.Lens`. Raises DataError for a layer or cell that is not there.
        """
        return backends.drive(self.explain_async(x, layer, index))

    async def explain_async(self, x: Array, layer: str, index: int | Sequence[int]) -> Explanation:
        """:meth:`explain` for an event loop."""
        from .inside.explain import Lens

        return (await Lens.over_async(self, x)).explain(layer, index)

    def evaluate(self, x: Array, y: Array, batch_size: int = MAX_BATCH) -> dict[str, float]:
        """Mean loss and, for classifiers, accuracy on images ``x`` with labels ``y``: {"loss": .., "accuracy": ..}."""
        return backends.drive(self.evaluate_async(x, y, batch_size, cooperative=False))

    async def evaluate_async(
        self, x: Array, y: Array, batch_size: int = MAX_BATCH, cooperative: bool = True
    ) -> dict[str, float]:
        """:meth:`evaluate` for an event loop, which gets a turn at least every 50 ms."""
        if len(x) != len(y) or not len(x):
            raise DataError(f"{len(x)} images met {len(y)} labels" if len(x) else "nothing to evaluate: no images")
        targets = self.loss.targets(y, self.output_shape)
        return self.loss.measure(await self._predict(x, True, batch_size, cooperative), targets)

    def checked_images(self, x: Array) -> Array:
        """``x`` as a batch (N, C, H, W) that fits the input; uint8 stays uint8 only in the data set of ``fit``."""
        images = np.asarray(x)
        channels = self.input_shape[0]
        if images.ndim == len(self.input_shape) and len(self.input_shape) == 3 and channels == 1:
            images = images[:, None]
        if images.ndim != len(self.input_shape) + 1:
            raise ShapeError(
                f"a batch (N, {', '.join(map(str, self.input_shape))}) is needed; got shape {images.shape}"
            )
        if images.shape[1] != channels:
            turn = "; for (N, H, W, C) use x.transpose(0, 3, 1, 2)" if images.shape[-1] == channels else ""
            raise ShapeError(
                f"the network takes {channels} channels; got {images.shape[1]} (shape {images.shape}){turn}"
            )
        if images.dtype == np.uint8:
            return images.astype(np.float32) / np.float32(255)
        if images.dtype.kind not in "fiub":
            raise DataError(f"images must be numbers; got {images.dtype}")
        if images.dtype.kind in "iu" and images.size and images.max() > 1:
            raise DataError(f"whole-number images up to {images.max()} as {images.dtype}: pass uint8, or divide by 255")
        images = np.ascontiguousarray(images, np.float32)
        if not finite(images):
            raise DataError("images hold values that are not finite (NaN or infinity)")
        return images

    def fit(self, x: Array, y: Array, **options: Any) -> History:
        """Train on images ``x`` with labels ``y``; see :class:`handlens.training.Training` for the options.

        Each call is a training of its own: a second one begins with fresh moments and the first epoch's order.
        """
        from .training import Training

        return self.fit_with(Training(self, x, y, **options))

    def fit_with(self, training: Training) -> History:
        """Run a :class:`handlens.training.Training` that was made for this model."""
        return backends.drive(training.run())

    async def fit_async(self, x: Array, y: Array, **options: Any) -> History:
        """:meth:`fit` for an event loop: gives it a turn at least every 50 ms, between ops if need be."""
        from .training import Training

        return await Training(self, x, y, **options).run(cooperative=True)

    def summary(self) -> Summary:
        """Shapes, parameters, multiply-adds and bytes per layer; ``print(model.summary())`` shows the table."""
        return summarize(self)

    # --- files

    def config(self) -> dict[str, Any]:
        """The architecture as JSON values."""
        return {
            "input_shape": list(self.input_shape),
            "loss": self.loss.name,
            "layers": [{"type": type(layer).__name__, **layer.config()} for layer in self.layers],
        }

    @classmethod
    def from_config(
        cls,
        config: Mapping[str, Any],
        seed: int = 0,
        name: str = "model",
        weights: Mapping[str, Array] | None = None,
    ) -> Sequential:
        """The network of :meth:`config`, with fresh weights, or with ``weights`` as :meth:`state_dict` gives them."""
        layers = [from_config(c["type"], {k: v for k, v in c.items() if k != "type"}) for c in config["layers"]]
        return cls(layers, config["input_shape"], seed, name, config.get("loss", "cross_entropy"), weights=weights)

    def save(self, path: str | Path, metadata: Mapping[str, Any] | None = None) -> int:
        """Write weights and metadata as safetensors; returns the bytes written. A half-written file never stays."""
        from .io.model_file import save

        return save(self, path, metadata)


def finite(array: Array) -> bool:
    """Whether every value is finite. A sum tells so in one pass, unless it leaves the range itself."""
    return bool(np.isfinite(np.add.reduce(array, axis=None, dtype=np.float64))) or bool(np.isfinite(array).all())


def checked_input_shape(shape: Sequence[int]) -> Shape:
    """(C, H, W) or (inputs,) as a tuple of positive integers."""
    sizes = tuple(shape)
    if len(sizes) not in (1, 3) or any(isinstance(n, bool) or int(n) != n or n < 1 for n in sizes):
        raise ShapeError(f"input_shape must be (channels, height, width) or (inputs,), all at least 1; got {shape!r}")
    return tuple(int(n) for n in sizes)


def name_layers(layers: Sequence[Layer]) -> None:
    """Name nameless layers by kind and count (conv1, conv2, pool1); DataError where two share a name."""
    counts: Counter[str] = Counter()
    for layer in layers:
        layer.name = layer.given_name
    taken = {layer.name for layer in layers if layer.name}
    for layer in layers:
        if layer.name:
            continue
        while not layer.name or layer.name in taken:
            counts[layer.stem] += 1
            layer.name = f"{layer.stem}{counts[layer.stem]}"
        taken.add(layer.name)
    bad = sorted(taken & RESERVED | {"logits"} & {layer.name for layer in layers[:-1]})
    if bad:
        raise DataError(f"a layer cannot be called {bad[0]!r}, the network itself uses that name; choose another")
    double = [name for name, count in Counter(layer.name for layer in layers).items() if count > 1]
    if double:
        raise DataError(f"two layers are called {double[0]!r}; give every layer its own name")
