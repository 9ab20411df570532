"""The stages of a network: the layers after which maps become smaller, for `pooling: levels`."""

from __future__ import annotations

from carbrand.network.architecture.keras_graph import Graph, Node

# The maps of so many earlier stages improve accuracy; one more would cost accuracy (LOG.md).
LEVELS = 2

_POOLS = ("MaxPooling2D", "AveragePooling2D")
_SHAPING = ("InputLayer", "ZeroPadding2D", "Cropping2D", "Rescaling")  # these see nothing


def stage_ends(graph: Graph) -> tuple[str, ...]:
    """The last layer of each of the LEVELS stages before the last one; the last of them first.

    A stage is what lies between two layers with strides. Its last layer is the last one through
    which every path from photos to the output goes; where paths go around all of them, the last one
    that a layer with strides reads. A stage that only pools the one before, as the end of VGG,
    counts as a part of it: it has the same maxima.
    """
    stages = _stages(graph)
    nodes = {node.name: node for node in graph.nodes}
    last = nodes[graph.output]
    while last.kind in _POOLS:
        last = nodes[last.inputs[0]]
    passed, read = _passed_by_all(graph), _read_by_strides(graph)
    ends = []
    for stage in range(stages[last.name] - 1, 0, -1):
        here = [n for n in graph.nodes if stages[n.name] == stage and n.kind not in _SHAPING]
        found = [n.name for n in here if n.name in passed] or [
            n.name for n in here if n.name in read
        ]
        ends += found[-1:]
    return tuple(ends[:LEVELS])


def _shrinks(node: Node) -> bool:
    strides = node.settings.get("strides") or node.settings.get("pool_size") or 1
    return max(strides if isinstance(strides, list | tuple) else [strides]) > 1


def _stages(graph: Graph) -> dict[str, int]:
    """How many layers with strides lie before each node, at most."""
    stages: dict[str, int] = {}
    for node in graph.nodes:
        before = max((stages[name] for name in node.inputs), default=0)
        stages[node.name] = before + _shrinks(node)
    return stages


def _passed_by_all(graph: Graph) -> set[str]:
    """Nodes over which no connection leads, in topological order."""
    places = {node.name: place for place, node in enumerate(graph.nodes)}
    furthest = dict.fromkeys(places, 0)
    for node in graph.nodes:
        for name in node.inputs:
            furthest[name] = places[node.name]
    passed, reach = set(), 0
    for node in graph.nodes:
        if reach <= places[node.name]:
            passed.add(node.name)
        reach = max(reach, furthest[node.name])
    return passed


def _read_by_strides(graph: Graph) -> set[str]:
    """What layers with strides read, before padding."""
    nodes = {node.name: node for node in graph.nodes}
    read = set()
    for node in graph.nodes:
        for name in node.inputs if _shrinks(node) else ():
            source = nodes[name]
            while source.kind in _SHAPING and source.inputs:
                source = nodes[source.inputs[0]]
            read.add(source.name)
    return read
