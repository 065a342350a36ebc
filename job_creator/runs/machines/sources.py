"""Whether builds that have no internet will find their sources."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from foundation.errors import RefusedError
from foundation.spack.program import SpackProgram
from foundation.spack.source_needs import SourceNeeds
from job_creator.mirrors.needs.comparison import MirrorScope, make_plan
from job_creator.mirrors.needs.plan import MirrorItem, Status
from job_creator.mirrors.needs.questions import Lock, ask
from job_creator.mirrors.places import open_place

_SHOWN: Final = 5


def require_sources(
    spack: SpackProgram,
    locks: Sequence[Lock],
    wanted: Collection[str],
    mirror: str,
    variables: Mapping[str, str],
    cache: Path,
) -> None:
    """Look whether a mirror has the sources of the packages `wanted` (DAG hashes). Spack's answers are kept in `cache`.

    Raises `RefusedError` if it lacks some, and `CouldNotAskError`.
    """
    every = ask(spack, locks, cache, variables).packages
    needs = SourceNeeds({key: package for key, package in every.items() if key in wanted})
    plan = make_plan(locks, needs, open_place(mirror, None, variables), MirrorScope(private=True))
    lacking = [*plan.of(Status.MISSING), *plan.of(Status.NEVER)]
    if lacking:
        shown = ", ".join(map(_named, lacking[:_SHOWN])) + (" and others" if len(lacking) > _SHOWN else "")
        count = "1 source is" if len(lacking) == 1 else f"{len(lacking)} sources are"
        how = "run 'jc mirror create' for it where there is internet"
        raise RefusedError(f"{count} missing in {mirror} ({shown}); {how}")


def _named(item: MirrorItem) -> str:
    package = item.packages[0]
    return f"{item.kind} of {package.name}@{package.version}"
