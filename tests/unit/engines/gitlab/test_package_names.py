"""What package jobs are called, and what their scripts read out of that."""

from __future__ import annotations

import subprocess

from hypothesis import given
from hypothesis import strategies as st

from job_creator.builds.steps import Step
from job_creator.engines.gitlab.package_names import built_by, job_names, says_all
from job_creator.scripts.rendering import render

LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
hashes = st.sets(st.text("ab", min_size=32, max_size=32) | st.text(LETTERS, min_size=32, max_size=32), min_size=1)
packages = st.from_regex(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", fullmatch=True).filter(lambda name: len(name) < 90)
versions = st.sampled_from(["", "1.2.3", "git.abc/def=1.0", "develop", "2024-03-05-r1", "main=1.2"])


def steps_of(found: set[str], package: str, version: str) -> dict[str, Step]:
    return {key: Step(key, package, version, "x", ()) for key in sorted(found)}


@given(hashes, hashes, packages, versions)
def test_names_are_unique_and_mean_one_spec_of_all_that_environments_hold(
    found: set[str], others: set[str], package: str, version: str
) -> None:
    names = job_names(steps_of(found, package, version), found | others, 128)
    assert len(set(names.values())) == len(found)
    for key, name in names.items():
        assert len(name) <= 128
        told = built_by(name)
        assert told is not None
        assert told[0] == package
        assert [one for one in found | others if one.startswith(told[1])] == [key]


def test_hashes_are_short_where_seven_letters_tell_them_apart() -> None:
    steps = steps_of({"a" * 32, "b" * 32}, "zlib", "1.3")
    assert list(job_names(steps, (), 128).values()) == ["zlib@1.3 /aaaaaaa", "zlib@1.3 /bbbbbbb"]
    # A spec that needs no build stands in the lockfile as well, where Spack looks the letters up.
    assert list(job_names(steps, ["a" * 7 + "c" * 25], 128).values()) == ["zlib@1.3 /aaaaaaaa", "zlib@1.3 /bbbbbbbb"]


def test_a_name_without_its_package_says_nothing() -> None:
    step = Step("a" * 32, "p" * 200, "1.0", "x", ())
    (name,) = job_names({step.hash: step}, (), 128).values()
    assert not says_all(name, step)
    assert built_by("rebuild-index") is None
    assert built_by("gate 1 /abcdefg") is None


def told_by_the_script(job: str, **more: str) -> list[str]:
    script = render("spec_of_job.sh.j2") + 'printf "%s\\n" "$SPACK_JOB_SPEC_PKG_NAME" "$SPACK_JOB_SPEC_DAG_HASH"\n'
    environment = {"CI_JOB_NAME": job, "PATH": "/usr/bin:/bin", **more}
    return subprocess.run(
        ["bash", "-euc", script], env=environment, check=True, capture_output=True, text=True
    ).stdout.splitlines()


def test_the_script_reads_what_the_name_says() -> None:
    assert told_by_the_script("zlib@1.3 /abcdefg") == ["zlib", "abcdefg"]
    assert told_by_the_script("py-x@git.a/b=1.0 /abcdefgh") == ["py-x", "abcdefgh"]
    assert told_by_the_script("zlib /abcdefg") == ["zlib", "abcdefg"]
    # What variables say is not changed: names that were cut have them.
    given_by_variables = {"SPACK_JOB_SPEC_PKG_NAME": "b", "SPACK_JOB_SPEC_DAG_HASH": "x"}
    assert told_by_the_script("a /abcdefg", **given_by_variables) == ["b", "x"]
