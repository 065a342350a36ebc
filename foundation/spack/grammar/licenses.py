"""Which license a recipe names. Pure.

Source: `license` in lib/spack/spack/directives.py of Spack v1.1.0: an SPDX expression, and under which condition.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass

from foundation.spack.grammar.concrete import ConcreteNode
from foundation.spack.grammar.matching import CannotJudgeError, Matcher
from foundation.spack.grammar.parser import parse_spec
from foundation.spack.grammar.spec import Misspelt
from foundation.spack.releases import USUAL


@dataclass(frozen=True, slots=True)
class NamedLicense:
    """A license, and the spec that it holds for; of all without one."""

    text: str
    when: str = ""


def licenses_in(recipe: str) -> tuple[NamedLicense, ...]:
    """What a recipe says; nothing where it cannot be read. It is never run."""
    try:
        tree = ast.parse(recipe)
    except (SyntaxError, ValueError, RecursionError):
        return ()
    found: list[NamedLicense] = []
    for top in tree.body:
        if isinstance(top, ast.ClassDef):
            found += _in_block(top.body, "")
    return tuple(found)


def license_name(licenses: Iterable[NamedLicense], node: ConcreteNode, matcher: Matcher) -> str:
    """The license of a concrete spec; empty where the recipe names none for it, or a condition cannot be judged."""
    found: dict[str, None] = {}
    for one in licenses:
        if one.when:
            asked = parse_spec(one.when, USUAL)
            if isinstance(asked, Misspelt):
                return ""
            try:
                if not matcher.satisfies(node, asked):
                    continue
            except CannotJudgeError:
                return ""
        found[one.text] = None
    return " AND ".join(f"({text})" if " " in text and len(found) > 1 else text for text in found)


def _in_block(statements: Iterable[ast.stmt], when: str) -> list[NamedLicense]:
    """Directives, also below `with when(…)`."""
    found: list[NamedLicense] = []
    for one in statements:
        if isinstance(one, ast.With):
            conditions = [_constant(item.context_expr, "when") for item in one.items]
            inner = " ".join(text for text in (when, *conditions) if text)
            found += _in_block(one.body, inner)
        elif isinstance(one, ast.Expr) and isinstance(one.value, ast.Call):
            text = _constant(one.value, "license")
            if not text:
                continue
            own = next((_text(key.value) for key in one.value.keywords if key.arg == "when"), "")
            found.append(NamedLicense(text, f"{when} {own}".strip()))
    return found


def _constant(value: ast.expr, name: str) -> str:
    """The first argument of a call of this name, if it is a text."""
    is_call = isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == name
    return _text(value.args[0]) if isinstance(value, ast.Call) and is_call and value.args else ""


def _text(value: ast.expr) -> str:
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""
