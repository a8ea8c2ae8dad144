"""The walks through Keras graphs; all others in this package are made of these.

`run_graph` goes from the inputs to the outputs, under any interpretation: on tensors, on channel ids, on shapes, or on
symbols of a new graph. `walk_back` goes from outputs towards the inputs.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from prune_core.errors import UserError
from prune_core.network.calls import attach_masks, data_tensors, mask_tensors, nodes_for_masks
from prune_core.network.keras_internals import Functional, call_that_made, calls_of, graph_of_sequential, maker_of


@dataclass(frozen=True)
class GraphStep:
    """One call of one operation (a layer, a bare `keras.ops` operation or a nested model).

    Attributes:
        operation: what is called; the same object in several steps where a layer is used twice.
        path: its name, with the names of the models it is nested in: "block/conv".
        inputs: values of the tensors it is called on, in the order of `tensors`; masks are not among them.
        tensors: the symbolic tensors of the original graph that `inputs` stand for.
        masks: values of the tensors that it takes as masks.
        outputs: its symbolic outputs in the original graph.
        node: Keras's record of the call, with all arguments.
        values: value of every symbolic tensor that a step still needs, by `id`.
        is_for_masks: whether what it makes reaches the graph's outputs as a mask only.
    """

    operation: keras.Operation
    path: str
    inputs: list[Any]
    tensors: list[Any]
    masks: list[Any]
    outputs: list[Any]
    node: Any
    values: dict[int, Any]
    is_for_masks: bool

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The call's arguments with values in place of symbolic tensors."""
        args, kwargs = self.node.arguments.fill_in(self.values)
        return args, kwargs


def graph_of(operation: Any) -> Functional | None:
    """The functional graph that a model executes, or None for what has no graph (layers, subclassed models)."""
    if isinstance(operation, keras.Sequential):
        overridden = type(operation).call is not keras.Sequential.call
        return None if overridden else graph_of_sequential(operation)
    if isinstance(operation, Functional) and type(operation).call is Functional.call:
        return operation
    return None


def functional_graph(model: keras.Model) -> Functional:
    """The graph of a built Sequential or functional model.

    Raises:
        UserError: the model has no graph, or is not a Keras model.
    """
    if not isinstance(model, keras.Model):
        raise UserError(
            f"a {type(model).__name__} is not a Keras model: give one, load a file with keras.models.load_model(path)"
        )
    graph = graph_of(model)
    if graph is not None:
        return graph
    if isinstance(model, keras.Sequential) and type(model).call is keras.Sequential.call:
        raise UserError(
            f"model {model.name!r} is not built: begin it with keras.Input(shape=...) or call model.build()"
        )
    raise UserError(
        f"model {model.name!r} is a subclassed model ({type(model).__name__}) without a graph that can be followed: "
        "build it as keras.Model(inputs, outputs) or keras.Sequential"
    )


def run_graph(
    graph: Functional,
    inputs: Sequence[Any],
    visit: Callable[[GraphStep], Iterable[Any]],
    *,
    prefix: str = "",
    enter: bool = True,
) -> list[Any]:
    """Carry values from `graph.inputs` to `graph.outputs`; each is released as soon as no step needs it any more.

    Args:
        graph: a functional model.
        inputs: one value for each of `graph.inputs`.
        visit: gives the values of a step's outputs; it is called in topological order, once a call.
        prefix: put before the names in `GraphStep.path`.
        enter: whether to go into nested models (their steps are visited) or to visit them as one step.

    Returns:
        One value for each of `graph.outputs`.
    """
    values = {id(tensor): value for tensor, value in zip(graph.inputs, inputs, strict=True)}
    for_masks = nodes_for_masks(graph)
    nodes = list(calls_of(graph))
    uses = Counter(id(tensor) for tensor in graph.outputs)
    uses.update(id(tensor) for node in nodes for tensor in node.input_tensors)
    for node in nodes:
        tensors = data_tensors(node)
        step = GraphStep(
            operation=node.operation,
            path=f"{prefix}{node.operation.name}",
            inputs=[values[id(tensor)] for tensor in tensors],
            tensors=tensors,
            masks=[values[id(tensor)] for tensor in mask_tensors(node)],
            outputs=list(node.outputs),
            node=node,
            values=values,
            is_for_masks=id(node) in for_masks,
        )
        inner = inner_graph(step) if enter else None
        if inner is None:
            results = list(visit(step))
        else:
            attach_masks(step.operation, step.inputs, *step.arguments())
            results = run_graph(inner, step.inputs, visit, prefix=f"{step.path}/")
        values.update((id(tensor), result) for tensor, result in zip(node.outputs, results, strict=True))
        uses.subtract(id(tensor) for tensor in node.input_tensors)
        for tensor in (*node.input_tensors, *node.outputs):
            if not uses[id(tensor)]:
                values.pop(id(tensor), None)
    return [values[id(tensor)] for tensor in graph.outputs]


def walk_back(tensors: Iterable[Any], goes_on: Callable[[keras.Operation], bool]) -> bool:
    """Go from symbolic tensors towards the inputs, through what each was made of, masks left out.

    Args:
        tensors: of a graph, e.g. its outputs.
        goes_on: whether the walk goes on to what an operation takes. It is called once for each tensor that the walk
            meets, and does not go into nested models.

    Returns:
        Whether the walk reached something that takes no tensor: an input.
    """
    waiting = list(tensors)
    seen = set()
    meets_input = False
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        if goes_on(maker_of(tensor)):
            before = data_tensors(call_that_made(tensor))
            meets_input = meets_input or not before
            waiting.extend(before)
    return meets_input


def inner_graph(step: GraphStep) -> Functional | None:
    """The graph of a nested model, if its call does nothing beside running that graph on the given tensors."""
    inner = graph_of(step.operation)
    if inner is None or is_forced_training(step):
        return None
    outer_shapes = [(len(tensor.shape), tensor.shape[-1:]) for tensor in step.tensors]
    inner_shapes = [(len(tensor.shape), tensor.shape[-1:]) for tensor in inner.inputs]
    return inner if outer_shapes == inner_shapes else None


def is_forced_training(step: GraphStep) -> bool:
    """Whether the graph calls this operation with `training=True`, also at inference."""
    return bool(step.node.arguments.kwargs.get("training"))
