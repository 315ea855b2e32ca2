"""If with two branches whose results are of different ranks: only the builder notices them."""

from typing import Any

from .sites import Complaint, Site, refusal


def equal_ranks(site: Site) -> Complaint | None:
    """A rule as of restrictions. A condition that is known beforehand leaves one branch only."""
    then, other = site.graph("then_branch"), site.graph("else_branch")
    if then is None or other is None or site.origin(0) not in ("sizes", "ints", "data", "floats"):
        return None
    for first, second in zip(_ranks(then, site), _ranks(other, site), strict=False):
        if None not in (first, second) and first != second:
            return refusal(
                f"the branches of If return tensors of {first} and of {second} dimensions",
                "Reshape one of them, so that both have as many",
            )
    return None


def _ranks(branch: Any, site: Site) -> list[int | None]:
    """Of each output, None where it is not known."""
    known = [_rank(value.type) for value in branch.output]
    return known if None not in known else [_rank(v.type) for v in _inferred(branch, site)]


def _rank(kind: Any) -> int | None:
    return len(kind.tensor_type.shape.dim) if kind.tensor_type.HasField("shape") else None


def _inferred(branch: Any, site: Site) -> Any:
    """The branch's outputs, with the constants of the graph around it at hand."""
    from onnx import IR_VERSION, GraphProto, ModelProto, helper, shape_inference

    graph = GraphProto()
    graph.CopyFrom(branch)
    own = {name for node in graph.node for name in node.output}
    for name in {name for node in graph.node for name in node.input} - own:
        constant = site.scope.constants.get(name)
        if constant is not None and len(constant.raw_data) < 1024:
            graph.initializer.append(constant)
        elif name in site.scope.types:
            value = graph.input.add(name=name)
            value.type.tensor_type.CopyFrom(site.scope.types[name])
    opsets = [helper.make_opsetid(domain, version) for domain, version in site.scope.opsets]
    model = ModelProto(graph=graph, ir_version=IR_VERSION, opset_import=opsets)
    try:
        return shape_inference.infer_shapes(model).graph.output
    except Exception:  # what a stranger's graph holds fails in ways of no common kind
        return branch.output
