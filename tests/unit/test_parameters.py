"""How many parameters functions take."""

from __future__ import annotations

import ast

from tests.documentation import SOURCES

MOST = 7


def too_many(source: str) -> list[str]:
    """Functions with more than `MOST` parameters, those apart that click calls: it hands every option over."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef) or any("click" in ast.unparse(one) for one in node.decorator_list):
            continue
        given = [one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        if len(set(given) - {"self", "cls"}) > MOST:
            found.append(node.name)
    return found


def test_only_commands_take_many() -> None:
    for path in sorted(SOURCES):
        assert too_many(path.read_text()) == [], path


def test_too_many_are_found() -> None:
    parameters = ", ".join(f"p{number}" for number in range(MOST + 1))
    assert too_many(f"def f({parameters}): pass") == ["f"]
    assert too_many(f"def f(p, *, {parameters}): pass") == ["f"]
    assert too_many(f"def f(self, {parameters.partition(', ')[2]}): pass") == []
    assert too_many(f"@click.command('f')\ndef f({parameters}): pass") == []
