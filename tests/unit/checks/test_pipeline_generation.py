"""What users say of Spack's jobs under `ci: pipeline-gen`, against GitLab's keywords."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.samples import TEMPLATE
from tests.unit.checks.environments import fault, faults

HEAD = "spack:\n  specs: [zlib]\n  ci:\n    pipeline-gen:\n"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("any-job: {retrys: 2}", "GitLab has no keyword 'retrys' for jobs; did you mean 'retry'?"),
        ("build-job: {retry: 3}", "GitLab would refuse 'retry': must be an integer from 0 to 2, not 3"),
        ("build-job: {cache: x}", "GitLab would refuse 'cache': must be a mapping or a list, not 'x'"),
        ("'build-job:': {timeout: 2 fortnights}", "GitLab would refuse 'timeout': must be a duration"),
        ("any-job: {'image:': {nam: x}}", "GitLab would refuse 'image:nam': is no keyword here"),
        ("reindex-job: {extends: .base}", "'extends' has nothing to extend"),
        ("any-job: {trigger: x}", "GitLab has no keyword 'trigger' for jobs"),
        ("any-job: {secrets: {}}", "Enterprise Edition"),
    ],
)
def test_what_gitlab_would_refuse_is_told_where_the_user_wrote_it(tmp_path: Path, entry: str, message: str) -> None:
    found = fault(tmp_path, f"{HEAD}    - {entry}\n")
    assert message in found
    assert found.startswith("here:5:")


def test_each_mapping_of_packages_is_looked_at(tmp_path: Path) -> None:
    job = "        build-job:\n          artifacts: {expire_in: soon}\n"
    assert fault(tmp_path, f"{HEAD}    - submapping:\n      - match: [zlib]\n{job}").startswith("here:8:")


def test_what_other_levels_bring_may_be_missing(tmp_path: Path) -> None:
    entries = "    - any-job: {image: {entrypoint: ['']}}\n    - build-job-remove: {tags: [x], nonsense: []}\n"
    assert faults(tmp_path, HEAD + entries) == []


def test_the_template_is_checked_too(tmp_path: Path) -> None:
    template = f"{TEMPLATE}  ci: {{pipeline-gen: [{{any-job: {{intruptible: true}}}}]}}\n"
    found = fault(tmp_path, "spack: {specs: [zlib]}\n", template=template)
    assert found.startswith("spack.yaml:")
    assert "did you mean 'interruptible'?" in found
