from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from job_creator.rehearsal.engine import log_of
from job_creator.rehearsal.record import FAILED, SKIPPED, SUCCESS, Pipeline
from job_creator.rehearsal.report import outcome, print_outcome
from job_creator.rehearsal.shell import STATES, Stage
from job_creator.rehearsal.translate import IMAGE_TOOLS
from tests.locks import lockfile

PARENT = Pipeline(
    1001,
    "parent pipeline",
    None,
    FAILED,
    {"populate buildcache for amd64": FAILED, "gather child artifacts": SUCCESS},
    ("populate buildcache for amd64",),
)
CHILD = Pipeline(1002, "populate buildcache for amd64", 1001, FAILED, {"packages 1": FAILED}, ("packages 1",))
GRANDCHILD = Pipeline(
    1003,
    "packages 1",
    1002,
    FAILED,
    {"zlib@1.3 /abcdefg": SUCCESS, "hdf5@1.14 /bcdefgh": FAILED, "netcdf@4 /cdefghi": SKIPPED},
)
BASE = Pipeline(
    1004, "base", 1001, SUCCESS, {"build builder for amd64": SKIPPED}, (), {"build builder for amd64": "needs buildah"}
)


def stage(folder: Path, missing: tuple[str, ...] = IMAGE_TOOLS) -> Stage:
    return Stage(folder, {}, {}, "node", "index.js", missing, {})


def printed(folder: Path, missing: tuple[str, ...] = IMAGE_TOOLS) -> str:
    stream = io.StringIO()
    found = stage(folder, missing)
    result = outcome(found, (PARENT, CHILD, GRANDCHILD, BASE))
    print_outcome(result, found, Console(file=stream, width=60))
    return stream.getvalue()


def write_log(folder: Path) -> None:
    log = log_of(stage(folder).states / "1003", "hdf5@1.14 /bcdefgh")
    log.parent.mkdir(parents=True)
    lines = [f"line {number}" for number in range(50)]
    log.write_text("\n".join([*lines, "[bold]configure: error: no MPI[/bold]"]))


def test_a_failure_deep_down_is_shown_once_with_the_end_of_its_log(tmp_path: Path) -> None:
    write_log(tmp_path)
    text = printed(tmp_path)
    assert text.count("failed; its log ends with") == 1
    assert "packages 1: hdf5@1.14 /bcdefgh: failed; its log ends with" in text.replace("\n", " ")
    assert "[bold]configure: error: no MPI[/bold]" in text
    assert "line 49" in text
    assert "line 10\n" not in text
    assert "failed   packages 1 (1 success, 1 failed, 1 skipped)" in text
    assert f"pipelines, logs and artifacts: {tmp_path}/checkout/{STATES}" in text


def test_what_was_built_and_what_was_there_is_counted(tmp_path: Path) -> None:
    folder = tmp_path / "checkout" / STATES / "1004" / "artifacts" / "x" / "jobs_scratch_dir.amd64" / "app"
    (folder / "concrete_environment").mkdir(parents=True)
    lock = lockfile([("app@1.2", "app", "1.2.3"), ("b", "b", "1"), ("c", "c", "1")])
    (folder / "concrete_environment" / "spack.lock").write_bytes(lock)
    result = outcome(stage(tmp_path), (PARENT, CHILD, GRANDCHILD, BASE))
    total = len(json.loads(lock)["concrete_specs"])
    assert (result.built, result.reused) == ({"amd64": 1}, {"amd64": total - 1})
    assert not result.succeeded
    assert [one.job for one in result.failures] == ["hdf5@1.14 /bcdefgh"]


def test_it_says_why_jobs_were_left_out(tmp_path: Path) -> None:
    assert "left out: 1 job that builds or moves images (--images runs them)" in printed(tmp_path)
    assert "left out: 1 job that builds or moves images (needs buildah)" in printed(tmp_path, ("buildah",))
