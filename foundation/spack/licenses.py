"""License expressions of recipes, as SPDX writes them: `BSD-2-Clause AND (MIT OR Apache-2.0 WITH LLVM-exception)`."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any


def is_allowed(expression: str, allowed: Collection[str]) -> bool:
    """Whether somebody may use this under the allowed licenses alone; capital letters do not count.

    An exception (`WITH`) only permits more, so the license without it does as well. What is no expression is allowed
    by its whole text.
    """
    from license_expression import ExpressionError

    known = {one.casefold() for one in allowed}
    if expression.strip().casefold() in known:
        return True
    try:
        parsed = _licensing().parse(expression)
    except (ExpressionError, ValueError, TypeError, AttributeError, IndexError):
        return False
    return parsed is not None and _holds(parsed, known)


@cache
def _licensing() -> Any:
    """A reader that takes any name for a license."""
    from license_expression import Licensing

    return Licensing()


def _holds(node: Any, known: Collection[str]) -> bool:
    if isinstance(node, _licensing().AND):
        return all(_holds(one, known) for one in node.args)
    if isinstance(node, _licensing().OR):
        return any(_holds(one, known) for one in node.args)
    alone = getattr(node, "license_symbol", node)
    return str(node).casefold() in known or str(alone.key).casefold() in known
