"""How often package jobs are tried, as environments say it and Spack hands it on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from foundation.spack.releases import SpackLine
from job_creator.engines.gitlab.generated import SPACK_RETRIES
from job_creator.engines.gitlab.objects import INFRASTRUCTURE_FAILURES

USUAL_RETRY: Final = {"max": 2, "when": list(INFRASTRUCTURE_FAILURES)}


def retry(written: Any, line: SpackLine | None) -> dict[str, Any]:
    """How often a job is tried, and after which failures: as the environment says, or as is usual here.

    Before Spack 1.0 what is written is Spack's own alone.
    """
    if line is None or not line.compilers_are_dependencies:
        return USUAL_RETRY
    if not isinstance(written, Mapping):
        return {**USUAL_RETRY, "max": written if isinstance(written, int) else USUAL_RETRY["max"]}
    conditions = written.get("when", [])
    own = _own_conditions([conditions] if isinstance(conditions, str) else list(conditions))
    return {"max": written.get("max", USUAL_RETRY["max"]), "when": own or USUAL_RETRY["when"]}


def _own_conditions(listed: list[str]) -> list[str]:
    """What an environment says, without what Spack has added of its own.

    From Spack 1.0 on its own conditions follow those of `when:`, and stand before those of `when-:`, but for what both
    name (`merge_yaml` in lib/spack/spack/schema/__init__.py). With `when::` there are none of its own.
    """
    for count in range(len(listed)):
        rest = len(listed) - count
        for own, added in ((listed[:count], listed[count:]), (listed[rest:], listed[:rest])):
            if added == [one for one in SPACK_RETRIES if one not in own]:
                return own
    return listed
