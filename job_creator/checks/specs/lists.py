"""Lists of specs: `definitions`, their conditions, references to them, and matrices.

Source: lib/spack/spack/environment/list.py of Spack v1.1, spec_list.py and environment/environment.py before;
`get_host_environment` in spec.py for what conditions may name.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Mapping
from typing import Any, Final

from foundation.errors import Fault
from foundation.spack.grammar.parser import parse_spec
from foundation.spack.grammar.spec import Misspelt
from foundation.validation import did_you_mean
from foundation.yaml_io import Location
from job_creator.checks.environment_file import EnvironmentFile
from job_creator.environments.marks import unmarked

_SIGILS: Final = "$^%"
"""What stands in front of the name of a list, alone or for `^` or `%` in front of each of its specs."""
_NAMES: Final = frozenset({"arch", "arch_str", "architecture", "env", "hostname", "os", "platform", "re", "target"})
"""What a condition may name besides what Python brings."""


def list_faults(file: EnvironmentFile) -> Iterator[Fault]:
    """Lists that Spack would refuse when it reads the environment, and matrices of nothing."""
    for key, value in file.section.items():
        if unmarked(key) == "definitions" and isinstance(value, list):
            for index, entry in enumerate(value):
                if isinstance(entry, Mapping):
                    yield from _of_definition(file, (key, index), entry)
        if unmarked(key) in ("specs", "definitions"):
            yield from _empty_matrices(file, value, (key,))


def list_name_faults(file: EnvironmentFile) -> Iterator[Fault]:
    """Names of lists of specs, as `$compilers`, that nothing defines, or that are defined too late."""
    if file.definition is None or not file.fits_together:
        return
    merged = file.merged.get("definitions")
    order = [name for one in (merged if isinstance(merged, list) else ()) for name in _names(one)]
    for key, value in file.section.items():
        if unmarked(key) == "specs" and isinstance(value, list):
            yield from _undefined(file, value, (key,), set(order), order)
        elif unmarked(key) == "definitions" and isinstance(value, list):
            for index, entry in enumerate(value):
                for name in _names(entry):
                    yield from _undefined(file, entry, (key, index), _before(file, order, name, entry), order)


def _before(file: EnvironmentFile, order: list[str], name: str, entry: Any) -> set[str]:
    """The lists that Spack knows when it reads an entry: since Spack 1.0 it puts all parts of a list together first."""
    if name not in order:
        return set(order)
    place = order.index(name)
    if not file.line.compilers_are_dependencies:
        merged = [one for one in file.merged["definitions"] if list(_names(one))]
        place = merged.index(entry) if entry in merged else place
    return set(order[:place])


def _undefined(
    file: EnvironmentFile, value: Any, location: Location, known: set[str], defined: list[str]
) -> Iterator[Fault]:
    for place, name in _references(value, location):
        if name in known:
            continue
        if name in defined:
            message = f"the list {name!r} is not defined yet where this is read"
            yield file.fault(place, message, "write its definition before this one")
        else:
            hint = did_you_mean(name, defined) or "define it below 'definitions:'"
            yield file.fault(place, f"no list {name!r} is defined", hint)


def _of_definition(file: EnvironmentFile, at: Location, entry: Mapping[str, Any]) -> Iterator[Fault]:
    names = list(_names(entry))
    if len(names) > 1:
        message = f"an entry of 'definitions' has one name, and not {' and '.join(map(repr, names))}"
        yield file.fault((*at, names[1]), message, "write '- ' before each of them", of_key=True)
    elif not names:
        yield file.fault(at, "this entry of 'definitions' has no name", "add one, as in 'tools: [cmake]'", of_key=True)
    when = entry.get("when")
    if isinstance(when, str):
        for problem in _of_condition(file, when):
            yield file.fault_in_text((*at, "when"), problem.column, problem.message, problem.hint)


def _of_condition(file: EnvironmentFile, text: str) -> Iterator[Misspelt]:
    """What is wrong with a condition, which Spack evaluates as Python."""
    stripped = text.lstrip(" \t")
    start = len(text) - len(stripped) + 1
    example = "write it as in '''arch.satisfies(\"target=x86_64:\")''' or 'platform == \"linux\"'"
    try:
        tree = ast.parse(stripped, mode="eval")
    except (SyntaxError, ValueError) as error:
        why = getattr(error, "msg", "") or str(error)
        column = start + (getattr(error, "offset", None) or 1) - 1
        yield Misspelt(column, f"{text!r} is no expression of Python: {why}", example)
        return
    bound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not (node.id in bound | _NAMES or hasattr(builtins, node.id)):
            yield Misspelt(start + node.col_offset, f"conditions know no {node.id!r}", did_you_mean(node.id, _NAMES))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "satisfies":
            for argument in node.args[:1]:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    spec = parse_spec(argument.value, file.line)
                    if isinstance(spec, Misspelt):
                        message = f"Spack {file.line} refuses {argument.value!r}: {spec.message}"
                        yield Misspelt(start + argument.col_offset, message, spec.hint)


def _empty_matrices(file: EnvironmentFile, value: Any, location: Location) -> Iterator[Fault]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _empty_matrices(file, item, (*location, index))
    elif isinstance(value, Mapping):
        rows = value.get("matrix")
        if isinstance(rows, list) and not all(rows):
            at = (*location, "matrix", rows.index([])) if [] in rows else (*location, "matrix")
            yield file.fault(at, "this row of the matrix is empty, so that it stands for no specs", "remove it")
        elif rows == []:
            yield file.fault((*location, "matrix"), "this matrix has no rows", "add rows, as in [[hdf5], [+mpi, ~mpi]]")
        for key, inner in value.items():
            if unmarked(str(key)) not in ("matrix", "override", "when"):
                yield from _empty_matrices(file, inner, (*location, key))


def _names(entry: Any) -> Iterator[str]:
    if isinstance(entry, Mapping):
        yield from (unmarked(str(key)) for key in entry if unmarked(str(key)) != "when")


def _references(value: Any, location: Location) -> Iterator[tuple[Location, str]]:
    """Names of lists, at each place where Spack would look for one: whole specs, and whole parts of a matrix."""
    if isinstance(value, str):
        if value.startswith("$"):
            yield location, value.lstrip(_SIGILS)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _references(item, (*location, index))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if unmarked(str(key)) not in ("when", "exclude", "override"):
                yield from _references(inner, (*location, key))
