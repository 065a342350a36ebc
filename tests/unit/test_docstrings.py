"""What docstrings have to say, as far as a test can tell."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from foundation import errors
from tests.documentation import SOURCES

ERRORS = frozenset(
    name
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.SpacktainersError)
)
RIDDLES = ("of ours", "this tool", "what is there", "none of them.", "it never is.")
"""Words that say nothing to who does not know whose, which or what."""


def public_functions(tree: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef]:
    """Functions and methods that others may call; not what frameworks call, which have messages of their own."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name.startswith("_"):
            continue
        if isinstance(node, ast.ClassDef):
            yield from public_functions(node)
        elif isinstance(node, ast.FunctionDef) and not any("click" in ast.unparse(one) for one in node.decorator_list):
            yield node


def raised(function: ast.AST) -> Iterator[str]:
    """The errors that a function raises itself, not those of what it calls or defines."""
    for node in ast.iter_child_nodes(function):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            yield ast.unparse(node.exc.func).rpartition(".")[2]
        yield from raised(node)


def unsaid(source: str) -> list[str]:
    return [
        f"{function.name}: {error}"
        for function in public_functions(ast.parse(source))
        for error in sorted(set(raised(function)) & (ERRORS | {"ValueError"}))
        if error not in (ast.get_docstring(function) or "")
    ]


def test_public_functions_say_what_they_raise() -> None:
    for path in sorted(SOURCES):
        assert unsaid(path.read_text()) == [], path


def test_a_raise_that_nothing_is_said_of_is_found() -> None:
    body = "    if x:\n        raise errors.RefusedError('no')\n    def inner():\n        raise DamagedError('no')\n"
    assert unsaid(f"def f(x):\n    '''Do it.'''\n{body}") == ["f: RefusedError"]
    assert unsaid(f"def f(x):\n    '''Do it. Raises `RefusedError`.'''\n{body}") == []
    assert unsaid(f"def _f(x):\n    '''Do it.'''\n{body}") == []


def test_docstrings_say_whose_and_which() -> None:
    for path in sorted(SOURCES):
        tree = ast.parse(path.read_text())
        nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
        texts = [(getattr(node, "name", "module"), " ".join((ast.get_docstring(node) or "").split())) for node in nodes]
        assert [(name, one) for name, text in texts for one in RIDDLES if one in text.lower()] == [], path
