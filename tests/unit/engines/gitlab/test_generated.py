"""What Spack generated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import InvalidInputError
from job_creator.engines.gitlab.generated import read_generated
from tests.spack_ci import RECORDINGS, generated, pipeline, recording, spack_hash

CHAIN = {"a": [], "b": ["a"], "c": ["b"]}


@pytest.mark.parametrize(
    ("line", "container", "jobs"),
    [
        ("0.21", "system-benchmarks", 41),
        ("0.22", "zlib-bzip2", 6),
        ("0.23", "hdf5-tools", 49),
        ("1.0", "zlib-bzip2", 7),
        ("1.2", "zlib-bzip2", 7),
        ("1.1", "hdf5-tools", 50),
        ("1.1", "toy-partial", 1),
    ],
)
def test_recordings_of_all_lines_are_read(line: str, container: str, jobs: int) -> None:
    found = recording(line, container)
    assert len(found.builds.steps) == len(found.jobs) == jobs
    assert str(found.builds.line) == line
    assert found.builds.graph is not None
    assert set(found.services) == {"rebuild-index"}
    assert found.mirror
    assert {step.hash for step in found.builds.steps} == set(found.jobs) <= set(found.builds.graph.packages)
    assert all(len(key) == 32 for key in found.jobs)
    assert all(needs <= set(found.jobs) for needs in found.builds.needs.values())


@pytest.mark.parametrize("line", ["0.21", "1.1"])
def test_nothing_to_do_is_no_job(line: str) -> None:
    """It has neither variables nor stages, which ended in a KeyError."""
    found = recording(line, "toy-noop")
    assert (found.jobs, found.builds.steps, found.services, found.builds.line) == ({}, (), {}, None)


@pytest.mark.parametrize("version", ["0.22.5", "1.1.0", "1.2.0.dev0"])
def test_needs_are_hashes_whatever_the_names_look_like(version: str) -> None:
    found = generated("x", CHAIN, version=version)
    assert found.builds.needs[spack_hash("c")] == {spack_hash("b")}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "x/pipeline.yml:1:1: not a pipeline of 'spack ci generate'"),
        (b"- a\n", "not a pipeline of 'spack ci generate'"),
        (b"a: 1\n", "not a pipeline of 'spack ci generate'; it holds no job"),
        (b"build: {script: [make]}\n", "no stages and variables and workflow"),
        (b"a: [\n", "not readable as YAML"),
        (pipeline("x", CHAIN).replace(b"1.1.0", b"0.19.0"), "Spack '0.19' is not supported"),
        (pipeline("x", CHAIN).replace(b"SPACK_VERSION", b"SPACK_OTHER"), "Spack 'unknown' is not supported"),
    ],
)
def test_what_is_no_pipeline_of_spack_names_the_file(content: bytes, message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_generated("x", "x/pipeline.yml", content)
    assert message in str(caught.value)
    assert str(caught.value).startswith("x/pipeline.yml:")


def test_the_mirror_is_read_from_the_environment_in_all_spellings() -> None:
    for mirrors in (
        "{buildcache-destination: {url: file:///srv/mirror, signed: false}}",
        "{buildcache-destination: file:///srv/mirror}",
        "{buildcache-destination: {fetch: https://x, push: file:///srv/mirror}}",
        "{buildcache-destination: {fetch: https://x, push: {url: file:///srv/mirror}}}",
    ):
        environment = f"spack:\n  specs: []\n  mirrors: {mirrors}\n".encode()
        found = read_generated("x", "x/pipeline.yml", pipeline("x", CHAIN), environment=environment)
        assert found.mirror == "file:///srv/mirror"


def test_a_file_beside_the_pipeline_is_named_when_it_cannot_be_read() -> None:
    for beside, name in (({"environment": b"a: ["}, "spack.yaml"), ({"lock": b"{"}, "spack.lock")):
        with pytest.raises(InvalidInputError) as caught:
            read_generated("x", "x/pipeline.yml", pipeline("x", CHAIN), **beside)
        assert str(caught.value).startswith(f"x/concrete_environment/{name}:")


@given(st.data())
def test_a_pipeline_that_was_cut_off_is_refused(data: st.DataObject) -> None:
    path = RECORDINGS / "spack-1.1" / "toy-partial" / "pipeline.yml"
    content = path.read_bytes()
    cut = content[: data.draw(st.integers(0, len(content) - len(b"workflow:\n  rules:\n  - when: always\n") - 1))]
    with pytest.raises(InvalidInputError):
        read_generated("x", "x/pipeline.yml", cut)
