"""What recipes of packages, and what they build, get of the variables of a job: no key but those that read. Pure.

The jobs themselves have all variables. `scripts/templates/apart.py` takes the options that are made here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from job_creator.environments.marks import key_of, unmarked
from job_creator.environments.setting import Setting, mirrors, named_variables

_OF_SPACK_WITHOUT_NAMES = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
"""Where Spack looks for the keys of all mirrors, if it cannot name variables in them."""


def apart_options(setting: Setting, environments: Iterable[Mapping[str, Any]]) -> str:
    """The options that say which variables foreign code sees, and with which of them it reads mirrors.

    `environments` are those of a definition and of what it is merged with; what their `ci:` sets in jobs is seen, and
    mirrors that they name are read.
    """
    environments = list(environments)
    architecture = setting.architecture
    seen = {
        *architecture.seen_by_foreign_code("packages"),
        *architecture.seen_by_foreign_code("environments"),
        *(name for settings in architecture.packages.values() for name in settings.variables),
        *(name for one in environments for name in _set_variables(one.get(key_of(one, "ci")))),
    }
    read = _reading(setting, environments)
    seen = {name for name in seen if name not in _OF_SPACK_WITHOUT_NAMES} - {one.partition("=")[0] for one in read}
    options = {"see": sorted(seen), "read": read}
    return " ".join(f"--{name} {','.join(values)}" for name, values in options.items() if values)


def _reading(setting: Setting, environments: Iterable[Mapping[str, Any]]) -> list[str]:
    """The variables with keys that read, each with that which has its value, where that is another."""
    if not setting.line.credentials_by_variable:
        given = setting.credentials(writes=False)
        return [f"{name}={given[name].removeprefix('$')}" for name in _OF_SPACK_WITHOUT_NAMES if name in given]
    named = [mirrors(setting, writes=False)]
    for one in environments:
        written = one.get(key_of(one, "mirrors"))
        if isinstance(written, Mapping):
            named.append(dict(written))
    return list(dict.fromkeys(name for section in named for name in named_variables(section)))


def _set_variables(section: Any) -> Iterator[str]:
    """The names below all keys `variables` in a section, wherever they stand."""
    if isinstance(section, Mapping):
        for key, value in section.items():
            if unmarked(str(key)) == "variables" and isinstance(value, Mapping):
                yield from (unmarked(str(name)) for name in value)
            else:
                yield from _set_variables(value)
    elif isinstance(section, list):
        for one in section:
            yield from _set_variables(one)
