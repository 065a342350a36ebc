"""GitLab's verdict: agreement with what GitLab itself said, and how long it takes for a large pipeline.

`python -m benchmarks.pipelines.verdicts`
"""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import Final

from foundation.yaml_io import dump
from job_creator.engines.gitlab.limits import check
from job_creator.engines.gitlab.objects import Pipeline, RawJob
from job_creator.engines.gitlab.verdict.files import judge_file
from job_creator.site.gitlab import Limits
from tests.recorded_verdicts import recorded_verdicts

JOBS: Final = 10_000
NEEDS: Final = 8
ROOMY: Final = Limits(max_yaml_bytes=1 << 30)
"""Ten thousand jobs do not fit into one pipeline with the usual limits; how long it takes is the same."""


def large_pipeline() -> Pipeline[RawJob]:
    """Jobs like those of packages, each with some needs."""
    chance = random.Random(1)
    names = [f"package-{number}@1.{number} /{number:032x}" for number in range(JOBS)]
    jobs = []
    for number, name in enumerate(names):
        needs = sorted({chance.choice(names[:number]) for _ in range(NEEDS)}) if number else []
        keywords = {
            "stage": "build",
            "rules": [{"when": "on_success"}],
            "image": {"name": "builder", "entrypoint": [""]},
            "tags": ["amd64"],
            "script": ["spack ci rebuild"],
            "variables": {"SPACK_JOB_SPEC_DAG_HASH": f"{number:032x}", "SPACK_JOB_SPEC_PKG_NAME": name},
            "needs": [{"pipeline": "$PARENT_PIPELINE_ID", "job": "environment"}, *needs],
            "timeout": "6 hours",
            "retry": {"max": 2, "when": ["runner_system_failure"]},
        }
        jobs.append(RawJob(name, "package", keywords))
    return Pipeline(("build",), tuple(jobs))


def main() -> None:
    """Print both."""
    start = time.perf_counter()
    found = Counter(
        (case.accepted, judge_file(case.id, case.text.encode(), Limits()).is_accepted) for case in recorded_verdicts()
    )
    took = time.perf_counter() - start
    right = found[True, True] + found[False, False]
    print(f"agreement: {right} of {found.total()} in {took:.2f} s")
    print(f"accepted by GitLab and refused by jc: {found[True, False]}; the other way round: {found[False, True]}")
    document = large_pipeline().document()
    start = time.process_time()
    report = check(document, ROOMY)
    print(f"{JOBS} jobs, about to be written: {time.process_time() - start:.2f} s, {len(report.findings)} findings")
    text = dump(document).encode()
    start = time.process_time()
    verdict = judge_file("large", text, ROOMY)
    print(f"{JOBS} jobs, a file of {len(text):,} bytes: {time.process_time() - start:.2f} s, {verdict.is_accepted}")


if __name__ == "__main__":
    main()
