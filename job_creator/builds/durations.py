"""How long jobs are expected to take: measured seconds per package where there are some, and else a model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.resources import files
from statistics import fmean

from foundation.errors import Fault, InvalidInputError
from job_creator.builds.node_step import PackageOutcome, read_records


@dataclass(frozen=True, slots=True)
class Durations:
    """Expected seconds of jobs. A job that builds no package takes `service` seconds."""

    packages: Mapping[str, float] = field(default_factory=dict)
    default: float = 90.0
    service: float = 30.0
    measured: frozenset[str] = frozenset()
    """Packages whose seconds somebody measured; all others are guesses."""

    def of_package(self, name: str) -> float:
        """Expected seconds of a package's build, with the time that a runner takes to start it."""
        return self.packages.get(name, self.default)


@lru_cache(maxsize=1)
def default_durations() -> Durations:
    """The model in `durations.json`: round figures for packages that take long on four cores."""
    text = files("job_creator.builds").joinpath("durations.json").read_text(encoding="utf-8")
    return replace(_durations(json.loads(text), Durations()), measured=frozenset())


def read_durations(content: bytes, path: str, start: float = 45.0) -> Durations:
    """Measured seconds by package name, `{"llvm": 5400, "*": 90}`; `*` is every other package.

    Or what package jobs wrote down, a record a line (`node_step.PackageOutcome`); then a package takes what its builds
    took on average, and `start`, the seconds before a job builds anything. Packages that are not named take what the
    default model says. Raises `InvalidInputError`.
    """
    if b'"peak_memory_bytes"' in content.partition(b"\n")[0]:
        return _recorded(read_records(content, path), start)
    try:
        value = json.loads(content)
    except ValueError as error:
        raise InvalidInputError([Fault(path, 1, 1, f"not readable as JSON: {error}")]) from None
    if not isinstance(value, dict):
        raise InvalidInputError([Fault(path, 1, 1, "not a mapping of package names to seconds")])
    bad = [name for name, seconds in value.items() if not _is_duration(seconds)]
    if bad:
        raise InvalidInputError(Fault(path, 1, 1, f"{name!r} must be a number of seconds above 0") for name in bad)
    return _durations(value, default_durations())


def _durations(value: Mapping[str, float], base: Durations) -> Durations:
    packages = {name: float(seconds) for name, seconds in value.items() if name != "*"}
    default = float(value.get("*", base.default))
    return Durations({**base.packages, **packages}, default, base.service, frozenset(packages))


def _recorded(records: Iterable[PackageOutcome], start: float) -> Durations:
    taken: dict[str, list[float]] = {}
    for record in records:
        if record.state == "built":
            taken.setdefault(record.package, []).append(record.seconds)
    return _durations({name: start + fmean(seconds) for name, seconds in taken.items()}, default_durations())


def _is_duration(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")
