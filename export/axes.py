"""Dimensions that vary, as formulas: of a graph's sizes, or of the symbols torch traces with."""

import ast
import operator
from collections.abc import Callable, Mapping

_OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


def evaluate(formula: str, values: Mapping[str, int]) -> int | None:
    """What "batch*frames + 1" is; None where a name has no value or the formula is not of sums,
    products and whole quotients."""
    try:
        return _number(ast.parse(formula, mode="eval").body, values)
    except (KeyError, SyntaxError, ZeroDivisionError):
        return None


def _number(node: ast.expr, values: Mapping[str, int]) -> int:
    match node:
        case ast.Constant(value=int(number)):
            return number
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(operand, values)
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](_number(left, values), _number(right, values))
    raise KeyError(ast.dump(node))
