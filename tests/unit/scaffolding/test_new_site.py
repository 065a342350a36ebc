"""What a new site gets: valid for all answers, in step with what is shipped, and never over what is there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.yaml_io import load, parse
from job_creator.scaffolding.new_site import SiteAnswers, ignoring, site_files
from job_creator.site.site import Site, read_site
from tests.samples import FROZEN_SITE

A_BUCKET = st.from_regex(r"[a-z0-9][a-z0-9-]{1,30}[a-z0-9]", fullmatch=True)
ANSWERS = st.builds(
    SiteAnswers,
    architecture=st.just("arm64"),
    runner_tags=st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1), min_size=1
    ).map(tuple),
    target=st.sampled_from(["armv8.2a", "neoverse_v1"]),
    compiler=st.sampled_from(["gcc@13", "gcc@12.2.0", "llvm"]),
    cache_bucket=A_BUCKET,
    endpoint=st.sampled_from(["", "https://s3.example.org", "http://127.0.0.1:9000"]),
    containers_bucket=st.just("") | A_BUCKET,
    signed=st.booleans(),
)
PLAIN = SiteAnswers("amd64", ("docker",), "x86_64_v3", "gcc@13", "our-cache")


def site_of(answers: SiteAnswers) -> Site:
    return read_site(parse(site_files(answers, "spacktainers==1")["spacktainers.yaml"], "spacktainers.yaml"))


@given(ANSWERS)
def test_every_answer_takes_effect(answers: SiteAnswers) -> None:
    site = site_of(answers)
    (name, found), *others = site.architectures.items()
    assert not others
    assert (name, found.runner_tags, found.target, found.compiler) == (
        answers.architecture,
        answers.runner_tags,
        answers.target,
        answers.compiler,
    )
    cache = found.build_cache
    assert (cache.bucket, cache.endpoint or "", cache.signed) == (
        answers.cache_bucket,
        answers.endpoint,
        answers.signed,
    )
    assert (found.containers.bucket if found.containers else "") == answers.containers_bucket
    assert not site.gitlab.unit_tests


def test_a_new_site_has_the_versions_of_the_site_of_the_tests() -> None:
    ours = read_site(parse((FROZEN_SITE / "spacktainers.yaml").read_bytes(), "spacktainers.yaml"))
    assert (site_of(PLAIN).spack, site_of(PLAIN).images) == (ours.spack, ours.images)


def test_jobs_install_what_is_named() -> None:
    text = site_files(PLAIN, "spacktainers @ https://example.org/spacktainers.whl")["spacktainers-requirements.txt"]
    assert text.splitlines()[-1] == b"spacktainers @ https://example.org/spacktainers.whl"


def test_editors_find_the_schemas() -> None:
    files = site_files(PLAIN, "spacktainers==1")
    settings = load(files[".vscode/settings.json"], "settings.json")
    assert {path.removeprefix("./") for path in settings["yaml.schemas"]} <= files.keys()


@pytest.mark.parametrize("existing", ["", "*.pyc", "*.pyc\n/build/\n"])
def test_what_is_ignored_stays_and_nothing_stands_twice(existing: str, tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_bytes(once := ignoring(existing))
    lines = once.decode().splitlines()
    assert lines[: len(existing.splitlines())] == existing.splitlines()
    assert len(lines) == len(set(lines))
    assert ignoring(once.decode()) == once
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    written = ("generated_pipeline.yaml", "merged_spack_a_amd64.yaml", "jobs_scratch_dir.amd64/a", "build/x")
    asked = ["git", "-C", str(tmp_path), "check-ignore", *written]
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split() == list(written)
