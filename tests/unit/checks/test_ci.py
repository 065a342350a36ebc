"""Keywords below `ci:` that would have no effect."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.checks.environments import faults


def of(root: Path, entry: str, line: str = "1.1") -> list[str]:
    return faults(root, f"spack:\n  specs: [zlib]\n  ci:\n    pipeline-gen:\n    - {entry}\n", line=line)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("build-job: {stage: mine}", "'stage' has no effect here"),
        ("any-job: {rules: [{when: always}]}", "'rules' has no effect here"),
        ("submapping: [{match: [zlib], build-job: {needs: [x]}}]", "'needs' has no effect here"),
        ("cleanup-job: {tags: [x]}", "'cleanup-job' has no effect: Spack writes no such job any more"),
        ("copy-job: {tags: [x]}", "'copy-job' has no effect"),
        ("signing-job: {tags: [x]}", "'signing-job' has no effect: the job that builds a package signs it"),
        ("noop-job: {tags: [x]}", "'noop-job' has no effect"),
        ("reindex-job: {script: [x]}", "'script' of 'reindex-job' has no effect: Spack replaces it"),
        ("build-job: {'before_script:': [x]}", "'before_script::' drops what sets Spack up and trusts keys"),
        ("build-job: {'script:': [x]}", "'script::' drops what builds the package"),
    ],
)
def test_what_would_reach_no_job_is_a_fault(tmp_path: Path, entry: str, message: str) -> None:
    (found,) = of(tmp_path, entry)
    assert found.startswith("here:5:")
    assert message in found


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("broken-tests-packages: [x]", "here:4:5: 'broken-tests-packages' has no effect: jobs do not run"),
        ("broken-specs-url: https://example.org/x", "here:4:23: 'broken-specs-url' has no effect: Spack cannot list"),
    ],
)
def test_what_spack_would_not_look_at_is_a_fault(tmp_path: Path, setting: str, message: str) -> None:
    (found,) = faults(tmp_path, f"spack:\n  specs: [zlib]\n  ci:\n    {setting}\n")
    assert found.startswith(message)


@pytest.mark.parametrize("setting", ["broken-tests-packages: []", "broken-specs-url: s3://a/b", "rebuild-index: false"])
def test_what_spack_looks_at_is_no_fault(tmp_path: Path, setting: str) -> None:
    assert faults(tmp_path, f"spack:\n  specs: [zlib]\n  ci:\n    {setting}\n") == []


def test_retries_are_read_from_spack_1_on(tmp_path: Path) -> None:
    entry = "build-job: {retry: {max: 1}}"
    assert of(tmp_path, entry) == []
    (found,) = of(tmp_path, entry, line="0.23")
    assert "'retry' has no effect: Spack 0.23 replaces it" in found


@pytest.mark.parametrize(
    "entry",
    [
        "submapping: [{match: [zlib], build-job: {tags: [huge], timeout: 11 hours, variables: {A: b}}}]",
        "any-job: {before_script: [a], 'after_script-': [b], image: x:1}",
        "build-job-remove: {tags: [x]}",
        "reindex-job: {tags: [x], before_script: [y]}",
    ],
)
def test_what_reaches_jobs_is_no_fault(tmp_path: Path, entry: str) -> None:
    assert of(tmp_path, entry) == []
