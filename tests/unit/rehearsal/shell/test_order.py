from __future__ import annotations

import pytest

from job_creator.rehearsal.outcomes import FAILED, SUCCESS
from job_creator.rehearsal.shell.order import PlannedJob, still_to_start

STAGES = ("build", "index", "report")


def job(name: str, stage: str = "build", when: str = "on_success", needs: tuple[str, ...] | None = None) -> PlannedJob:
    return PlannedJob(name, stage, when, needs)


A = job("a")
B = job("b", needs=("a",))
C = job("c", needs=("b",))


@pytest.mark.parametrize(
    ("last", "starts"),
    [
        (job("index", "index", "always"), True),
        (job("index", "index", "always", ("b",)), True),
        (job("index", "index", "always", ("c",)), True),
        (job("index", "index", "always", ()), True),
        (job("index", "index"), False),
        (job("index", "index", needs=("c",)), False),
        (job("index", "index", needs=("alone",)), True),
        (job("index", "index", "never"), False),
        (job("index", "index", "manual"), False),
        (job("index", "index", "on_failure"), False),
    ],
)
def test_what_starts_after_a_failure(last: PlannedJob, starts: bool) -> None:
    """`a` failed, so `b` and `c` are skipped; for GitLab they are done."""
    jobs = (A, B, C, job("alone", needs=()), last)
    assert still_to_start(jobs, STAGES, {"a": FAILED, "alone": SUCCESS}) == (("index",) if starts else ())


def test_it_goes_on_after_what_always_runs() -> None:
    """What needs only the job that always runs starts after it, whatever failed before that."""
    jobs = (A, B, job("index", "index", "always"), job("report", "report", needs=("index",)), job("end", "report"))
    ran = {"a": FAILED}
    assert still_to_start(jobs, STAGES, ran) == ("index",)
    assert still_to_start(jobs, STAGES, {**ran, "index": SUCCESS}) == ("report",)
    assert still_to_start(jobs, STAGES, {**ran, "index": FAILED}) == ()


def test_nothing_is_left_where_everything_ran() -> None:
    assert still_to_start((A, B, C), STAGES, dict.fromkeys("abc", SUCCESS)) == ()


def test_outer_stages_and_jobs_that_are_not_in_this_pipeline() -> None:
    jobs = (job("first", ".pre"), job("last", ".post", "always"), job("x", needs=("gone",)))
    assert still_to_start(jobs, STAGES, {"first": FAILED}) == ("x",)
    assert still_to_start(jobs, STAGES, {"first": FAILED, "x": SUCCESS}) == ("last",)
