"""Names of package jobs, which say what the job builds: `name@version /hash`, as Spack calls them since 1.0.

A job's script reads package and hash out of `CI_JOB_NAME`, so that neither stands in the pipeline a second time: GitLab
counts every copy of a text against the size of a pipeline. Spack takes the first letters of a hash for the whole
(`get_one_by_hash` of lib/spack/spack/environment/environment.py, the same from 0.21 to 1.2), as long as no other spec
of the environment begins with them. A job with several packages is called after one of them, `name@version /hash and 5
more`, and has a variable that lists them all.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from job_creator.builds.steps import Step

SHORTEST_HASH: Final = 7
"""Letters of a hash that Spack shows to people."""

_NAME: Final = re.compile(
    r"(?P<package>[A-Za-z0-9_][\w-]*)(?:@[^ ]*)? /(?P<hash>[a-z0-9]{7,32})(?P<others> and \d+ more)?"
)


def hash_length(hashes: Collection[str]) -> int:
    """How many letters tell these hashes apart, 7 at least."""
    longest = max(map(len, hashes), default=SHORTEST_HASH)
    lengths = range(SHORTEST_HASH, longest)
    return next((length for length in lengths if len({one[:length] for one in hashes}) == len(hashes)), longest)


def job_name(step: Step, length: int, longest: int, others: int = 0) -> str:
    """The job of a step, and of so many others; the version is cut if the name is longer than `longest` characters."""
    end = f" /{step.hash[:length]}" + (f" and {others} more" if others else "")
    return step.named[: longest - len(end)] + end


def job_names(
    steps: Mapping[str, Step], hashes: Collection[str], longest: int, others: Mapping[str, int] | None = None
) -> dict[str, str]:
    """The names of the jobs of all steps, by DAG hash.

    `hashes` are all that their environments hold, also those of what needs no build; `others` says how many packages
    a job builds besides the step.
    """
    length = hash_length({*steps, *hashes})
    return {key: job_name(step, length, longest, (others or {}).get(key, 0)) for key, step in steps.items()}


def built_by(job: str) -> tuple[str, str] | None:
    """Package and first letters of the DAG hash that a job's name says; `None` for the name of another job."""
    found = _NAME.fullmatch(job)
    return (found["package"], found["hash"]) if found else None


def builds_several(job: str) -> bool:
    """Whether a job's name says that it builds more than one package."""
    found = _NAME.fullmatch(job)
    return found is not None and found["others"] is not None


def says_all(job: str, step: Step) -> bool:
    """Whether the script of the job can read package and hash out of its name."""
    found = built_by(job)
    return found is not None and found[0] == step.package and step.hash.startswith(found[1])
