"""What the tests read out of PromQL, with a parser that is not ours."""

import re
from collections.abc import Iterator

import promql_parser as p

WINDOWS = {"$__rate_interval": "15s", "$__range": "10m"}
"""Grafana's own variables, as they are put in before parsing."""


def grounded(expr: str, **variables: str) -> str:
    """The expression with its variables replaced; those that are not named match everything."""
    for name, text in variables.items():
        expr = expr.replace(f"${{{name}:regex}}", _escaped(text)).replace(f"${name}", text)
    for name, text in WINDOWS.items():
        expr = expr.replace(name, text)
    for name in ("job", "instance", "scenario", "run", "baseline"):
        expr = expr.replace(f"${{{name}:regex}}", ".+").replace(f"${name}", ".+")
    return expr


def _escaped(text: str) -> str:
    """As Grafana's format `regex` has it."""
    return re.sub(r"[\\^$*+?.()|\[\]{}/]", r"\\\g<0>", text)


def parsed(expr: str) -> p.Expr:
    """Raises ValueError where it isn't PromQL."""
    return p.parse(grounded(expr))


def selectors(expr: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Name and matchers of every series that the expression reads."""
    for node in nodes(parsed(expr)):
        if isinstance(node, p.VectorSelector):
            yield node.name or "", {matcher.name: matcher.value for matcher in node.matchers.matchers}


def metric_names(expr: str) -> set[str]:
    return {name for name, _ in selectors(expr)}


def nodes(root: p.Expr) -> Iterator[p.Expr]:
    """The expression and everything in it, parents first."""
    yield root
    match root:
        case p.AggregateExpr() | p.ParenExpr() | p.SubqueryExpr() | p.UnaryExpr():
            below = [root.expr]
        case p.BinaryExpr():
            below = [root.lhs, root.rhs]
        case p.Call():
            below = list(root.args)
        case p.MatrixSelector():
            below = [root.vector_selector]
        case _:
            below = []
    for each in below:
        yield from nodes(each)
