"""The program that builds the packages of a job, and what it writes down."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Collection, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import InvalidInputError
from foundation.graph import Edges, reachable, topological_order
from job_creator.builds import node_step
from job_creator.builds.node_step import PackageOutcome, read_records
from job_creator.runs.records import StepRecord
from tests.samples import REPOSITORY
from tests.spack_ci import lockfile, spack_hash
from tests.strategies import graphs

SCRIPT = REPOSITORY / "job_creator" / "scripts" / "templates" / node_step.PROGRAM

FAKE = """\
#!{python}
import json, os, sys
from pathlib import Path
here = Path({here!r})
script, phase, letters, *rest = sys.argv[2:]
assert sys.argv[1] == "python" and Path(script).name == "package_phases.py"
assert sys.stdin.read() == ""
name = os.environ["SPACK_JOB_SPEC_PKG_NAME"]
assert letters == os.environ["SPACK_JOB_SPEC_DAG_HASH"] and len(letters) == 32
with (here / "calls").open("a") as calls:
    calls.write(f"{{phase}} {{name}}\\n")
settings = json.loads((here / "settings.json").read_text())
print(f"{{phase}} of {{name}}", flush=True)
folder = Path(os.environ["SPACK_JOB_LOG_DIR"])
if phase == "prepare":
    Path(rest[0]).write_text(json.dumps(settings["answers"].get(name, ["", ""])))
if phase == "build":
    folder.mkdir(parents=True)
    (folder / "spack-build-out.txt").write_text("first\\n\\x1b[31mmade <of> & \\x00\\n" + 50 * "more\\n" + "the end\\n")
sys.exit(settings["codes"].get(f"{{phase}} {{name}}", 0))
"""


def job(
    folder: Path,
    edges: Mapping[str, Collection[str]],
    packages: Collection[str],
    *,
    answers: Mapping[str, Any] | None = None,
    codes: Mapping[str, int] | None = None,
    variables: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the program in a folder, with a stand-in for Spack that answers and ends as it is told."""
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin" / "spack"
    program.write_text(FAKE.format(python=sys.executable, here=str(folder)))
    program.chmod(0o755)
    (folder / "settings.json").write_text(json.dumps({"answers": answers or {}, "codes": codes or {}}))
    environment = folder / "jobs" / "x" / "concrete_environment"
    environment.mkdir(parents=True)
    (environment / "spack.lock").write_bytes(lockfile(edges))
    told = {
        "SPACK_ARTIFACTS_ROOT": "jobs/x",
        "SPACK_CONCRETE_ENV_DIR": "jobs/x/concrete_environment",
        "SPACKTAINERS_PACKAGES": " ".join(f"{name}@1.0/{spack_hash(name)}" for name in packages),
        "SPACK_JOB_SPEC_DAG_HASH": "nothing",
        **(variables or {}),
    }
    done = subprocess.run(
        [sys.executable, SCRIPT],
        cwd=folder,
        env={**os.environ, **told, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        check=False,
    )
    # Not as text: that takes the returns of sections for ends of lines.
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def records(folder: Path) -> dict[str, PackageOutcome]:
    path = folder / "jobs" / "x" / node_step.OUTCOMES / node_step.RECORDS
    return {record.package: record for record in read_records(path.read_bytes(), str(path))}


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines()


CHAIN = {"a": [], "b": ["a"], "c": ["b"], "d": []}


def test_a_failure_keeps_its_dependents_from_being_built_and_nothing_else(tmp_path: Path) -> None:
    done = job(tmp_path, CHAIN, "abcd", codes={"build a": 1})
    assert done.returncode == 1, done.stderr
    assert calls(tmp_path) == ["prepare a", "build a", "prepare d", "build d", "push d"]
    found = records(tmp_path)
    assert {name: record.state for name, record in found.items()} == {
        "a": "failed",
        "b": "skipped",
        "c": "skipped",
        "d": "built",
    }
    assert found["a"].because == "it does not build: exit code 1"
    assert found["b"].because == f"a@1.0/{spack_hash('a')[:7]} was not built"
    assert (found["d"].environment, found["d"].version, found["d"].hash) == ("x", "1.0", spack_hash("d"))
    assert found["d"].peak_memory_bytes > 1_000_000
    assert found["d"].seconds > 0
    assert re.search(r"failed  a@1\.0/aaaaaaa, \d+ s: it does not build", done.stdout)


def test_records_have_the_fields_of_all_engines(tmp_path: Path) -> None:
    """So one report is made of all (`jc report run`)."""
    job(tmp_path, CHAIN, "ab", codes={"build a": 1}, variables={"CI_RUNNER_DESCRIPTION": "the large one"})
    path = tmp_path / "jobs" / "x" / node_step.OUTCOMES / node_step.RECORDS
    first, second = map(json.loads, path.read_text().splitlines())
    assert first.keys() == {field.name for field in fields(StepRecord)}
    assert (first["engine"], first["attempt"], first["failure"]) == ("gitlab", 1, "own")
    assert (second["failure"], second["phases"]) == ("dependency", {})
    assert first["worker"] == "the large one"
    assert first["phases"].keys() == {"prepare", "build"}


def test_each_package_has_a_section_of_the_log_closed_where_there_are_several(tmp_path: Path) -> None:
    together = job(tmp_path / "several", CHAIN, "ad", codes={"build a": 1}).stdout
    name = f"package_{spack_hash('a')[:7]}"
    assert f":{name}[collapsed=true]\r\x1b[0Ka@1.0/{spack_hash('a')[:7]}\nprepare of a\nbuild of a\n" in together
    assert together.count("section_start") == together.count("section_end") == 2
    alone = job(tmp_path / "one", CHAIN, "a").stdout
    assert "collapsed" not in alone
    assert alone.startswith("\x1b[0Ksection_start:")


def test_what_a_build_cache_has_is_not_built_and_what_lacks_something_is_skipped(tmp_path: Path) -> None:
    answers = {"a": ["reused", "it is in file:///mirror already"], "d": ["skipped", "its dependency e was not built"]}
    done = job(tmp_path, CHAIN, "abd", answers=answers)
    assert done.returncode == 1
    assert calls(tmp_path) == ["prepare a", "prepare b", "build b", "push b", "prepare d"]
    found = records(tmp_path)
    assert [(found[name].state, found[name].because) for name in "abd"] == [
        ("reused", "it is in file:///mirror already"),
        ("built", ""),
        ("skipped", "its dependency e was not built"),
    ]
    assert job(tmp_path / "again", CHAIN, "a", answers=answers).returncode == 0


@pytest.mark.parametrize(
    ("ends", "because"),
    [
        ({"prepare a": 3}, "its dependencies could not be looked at: exit code 3"),
        ({"push a": 100}, "it was built and could not be pushed"),
    ],
)
def test_what_went_wrong_is_said_of_each_phase(tmp_path: Path, ends: dict[str, int], because: str) -> None:
    assert job(tmp_path, CHAIN, "ab", codes=ends).returncode == 1
    found = records(tmp_path)
    assert (found["a"].state, found["a"].because, found["b"].state) == ("failed", because, "skipped")


def test_junit_counts_and_shows_the_end_of_the_log(tmp_path: Path) -> None:
    job(tmp_path, CHAIN, "abd", codes={"build a": 2}, answers={"d": ["reused", "it is there"]})
    report = (tmp_path / "jobs" / "x" / node_step.OUTCOMES / node_step.JUNIT).read_text()
    (suite,) = ET.fromstring(report)  # noqa: S314 - written by the program under test
    assert suite.attrib == {"name": "x", "tests": "3", "failures": "1", "skipped": "1"}
    failed, skipped, reused = suite
    assert failed.attrib["name"] == f"a@1.0 /{spack_hash('a')[:7]}"
    (failure,) = failed
    assert failure.attrib["message"] == "it does not build: exit code 2"
    lines = str(failure.text).splitlines()
    assert (len(lines), lines[-1]) == (40, "the end")
    assert [one.tag for one in (*skipped, *reused)] == ["skipped", "system-out"]


ARCHIVE = gzip.compress(b"first\nlast\n", mtime=0)
BROKEN = "[spack-build-out.txt.gz cannot be …"


@pytest.mark.parametrize(
    ("name", "content", "shown"),
    [
        ("spack-build-out.txt.gz", ARCHIVE, ["first", "last"]),
        ("spack-build-out.txt.gz", ARCHIVE[:-8], ["first", "last", BROKEN]),
        ("spack-build-out.txt.gz", ARCHIVE[:-4] + b"abcd", [BROKEN]),
        ("spack-build-out.txt.gz", ARCHIVE[:10] + b"\xff\xff", [BROKEN]),
        ("spack-build-out.txt.gz", b"no archive", [BROKEN]),
        ("spack-build-out.txt.gz", b"", []),
        ("spack-build-out.txt", b"a" * 200_000 + b"\xff\r\nlast", ["a" * (200_000 % 65536) + "\ufffd", "last"]),
    ],
    ids=["whole", "half", "checksum", "broken", "none", "empty", "long line"],
)
def test_a_log_that_is_no_archive_or_half_of_one_is_shown_as_far_as_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, shown: list[str]
) -> None:
    program: dict[str, Any] = {"__name__": "program", "__file__": str(SCRIPT)}
    exec(compile(SCRIPT.read_text(), SCRIPT, "exec"), program)  # noqa: S102 - the program under test
    package = program["JobPackage"](spack_hash("a"), "a", "1.0", [])
    (tmp_path / package.folder).mkdir()
    (tmp_path / package.folder / name).write_bytes(content)
    monkeypatch.setenv("SPACK_JOB_LOG_DIR", str(tmp_path))
    lines = program["end_of_log"](package).splitlines()[-len(shown) :] if shown else program["end_of_log"](package)
    assert [re.sub(r"(?<=cannot be ).*", "…", line) for line in lines] == shown


def test_a_job_alone_reads_its_package_from_the_variable_of_spack(tmp_path: Path) -> None:
    alone = {"SPACKTAINERS_PACKAGES": ""}
    assert job(tmp_path, CHAIN, "", variables={**alone, "SPACK_JOB_SPEC_DAG_HASH": spack_hash("d")}).returncode == 0
    assert calls(tmp_path) == ["prepare d", "build d", "push d"]
    unknown = job(tmp_path / "unknown", CHAIN, "", variables={**alone, "SPACK_JOB_SPEC_DAG_HASH": "zzz"})
    assert unknown.returncode == 1
    assert "has 0 packages whose hash begins with 'zzz'" in unknown.stderr
    many = job(tmp_path / "many", CHAIN, "", variables={"SPACKTAINERS_PACKAGES": "a/aaaaaaa"})
    assert "has 4 packages whose hash begins with 'aaaaaaa'" in many.stderr


@given(graphs(most=8), st.data())
def test_exactly_the_dependents_of_what_failed_are_skipped(edges: Edges, data: st.DataObject) -> None:
    """The same in this process, for any graph: what stands for the phases knows what is in the build cache."""
    program: dict[str, Any] = {"__name__": "program", "__file__": str(SCRIPT)}
    exec(compile(SCRIPT.read_text(), SCRIPT, "exec"), program)  # noqa: S102 - the program under test
    order = [node for node in topological_order(edges) if data.draw(st.booleans(), label=node)]
    failing = {node for node in edges if data.draw(st.booleans(), label=f"{node} fails")}
    below = reachable(edges)
    cache = {node for node in edges if node not in order and node not in failing and not below[node] & failing}
    answer, lost = program["PhaseAnswer"], dict[str, Any]()

    def prepare(package: Any, _: Any) -> Any:
        missing = [need for need in edges[package.name] if need not in cache]
        return answer("skipped", f"{missing[0]} is not there") if missing else answer(), 0

    def build(package: Any, _: Any) -> Any:
        return answer("failed", "no") if package.name in failing else answer(), 0

    def push(package: Any, _: Any) -> Any:
        cache.add(package.name)
        return answer("built"), 0

    program |= {"prepared": prepare, "compiled": build, "pushed": push, "say": lambda *_, **__: None}
    states = {}
    for node in order:
        package = program["JobPackage"](spack_hash(node), node, "1.0", [spack_hash(one) for one in edges[node]])
        state = program["built"](package, lost, {}, alone=False).answer.state
        states[node] = state
        if state in ("failed", "skipped"):
            lost[package.hash] = package
    for node, state in states.items():
        if below[node] & failing:
            assert state == "skipped"
        else:
            assert state == ("failed" if node in failing else "built")


def test_what_is_no_record_is_named_with_its_line() -> None:
    with pytest.raises(InvalidInputError, match=r"packages\.jsonl:2:1: is no record of a package"):
        read_records(b'{"hash": "a"}\n{}\n', "packages.jsonl")


def test_an_environment_may_build_in_another_way() -> None:
    assert node_step.runs(['spack python "${SPACK_ARTIFACTS_ROOT:?}/steps/build_packages.py"'])
    assert not node_step.runs(["spack ci rebuild"])
