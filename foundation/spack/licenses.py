"""License expressions of recipes, as SPDX writes them: `BSD-2-Clause AND (MIT OR Apache-2.0 WITH LLVM-exception)`."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from license_expression import Licensing

REFERENCE: Final = re.compile(r"(DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+")
"""A license that SPDX does not list (SPDX 2.3, annex D)."""


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


def is_spdx(text: str) -> bool:
    """Whether a text is an expression of nothing but names that SPDX lists, and references."""
    from license_expression import ExpressionError

    try:
        parsed = spdx_licensing().parse(text, validate=False, strict=False)
        keys = spdx_licensing().unknown_license_keys(parsed)
    except (ExpressionError, ValueError, TypeError, AttributeError, IndexError):
        return False
    return parsed is not None and all(REFERENCE.fullmatch(str(key)) for key in keys)


@cache
def spdx_licensing() -> Licensing:
    """A reader that knows the names that SPDX lists."""
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()
