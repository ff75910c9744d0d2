"""Plans that need every WGSL kernel there is, for tests of what compiles them; none of this needs a GPU."""

from __future__ import annotations

from collections.abc import Iterator

from handlens import architectures
from handlens.autodiff import backward
from handlens.backends.webgpu import lower as _fills_the_table  # noqa: F401
from handlens.backends.webgpu.backend import TWO_VARIANTS
from handlens.backends.webgpu.kernels import all_kernels
from handlens.backends.webgpu.lowered import lower
from handlens.plan import Plan, make_plan
from handlens.training import training_plan
from op_cases import CASES, DIFFERENTIABLE, draw
from op_runner import case_graph, with_loss

Chosen = tuple[Plan, dict[str, str]]  # a plan, and op -> which of its kernels, where it is not the usual one


def candidates() -> Iterator[Chosen]:
    """Each case forward and backward, with both kernels where an op has two, and what a network has beside."""
    for case in CASES:
        graph, outputs = case_graph(case, *draw(case, 0, "float32"), "float32")
        graph.outputs = {name: name for name in outputs}
        yield make_plan(graph), {}
        if case.op in TWO_VARIANTS:
            yield make_plan(graph), {case.op: "tiled"}
    for case in DIFFERENTIABLE:
        graph, loss, wrt = with_loss(case, *draw(case, 0, "float32"), "float32")
        backward(graph, loss, wrt)
        graph.outputs = {"loss": loss}
        yield make_plan(graph, keep="all"), {}
    for name in ("convnet", "digits"):
        yield architectures.build(name).plan(1), {}
        yield training_plan(architectures.build(name), 8, images=20, dtype="uint8"), {}


def plans_of_every_kernel() -> list[Chosen]:
    """As few of the candidates as bring a kernel that none before it needed. Fails where a kernel is needed by none."""
    missing, found = set(all_kernels()), list[Chosen]()
    for plan, variants in candidates():
        new = missing & {source.name for source in lower(plan, variants).sources}
        if new:
            missing -= new
            found.append((plan, variants))
    assert not missing, f"no plan of the tests needs {', '.join(sorted(missing))}"
    return found
