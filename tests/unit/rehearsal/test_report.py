from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from foundation.yaml_io import dump
from job_creator.rehearsal import replay
from job_creator.rehearsal.outcomes import FAILED, SKIPPED, SUCCESS, RehearsedPipeline
from job_creator.rehearsal.report import RehearsalOutcome, outcome, print_outcome
from job_creator.rehearsal.shell.gitlab_ci_local import log_of
from job_creator.rehearsal.shell.stages import STATES, Stage
from job_creator.rehearsal.shell.translation import IMAGE_TOOLS

PARENT = RehearsedPipeline(
    1001,
    "parent pipeline",
    None,
    FAILED,
    {"populate buildcache for amd64": FAILED, "gather child artifacts": SUCCESS},
    ("populate buildcache for amd64",),
)
CHILD = RehearsedPipeline(1002, "populate buildcache for amd64", 1001, FAILED, {"packages 1": FAILED}, ("packages 1",))
GRANDCHILD = RehearsedPipeline(
    1003,
    "packages 1",
    1002,
    FAILED,
    {"zlib@1.3 /abcdefg": SUCCESS, "hdf5@1.14 /bcdefgh": FAILED, "netcdf@4 /cdefghi": SKIPPED},
)
BASE = RehearsedPipeline(
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


PACKAGES = ("built", "broken", "after", "nowhere", "cached")


def counted(folder: Path, *, with_pipeline: bool = True) -> RehearsalOutcome:
    """One package is in the cache; of four that Spack wrote jobs for one is built, one fails, one is skipped with its
    job, and one with the pipeline that its job is in."""
    place = folder / "checkout" / STATES / "1004" / "artifacts" / "x" / "jobs_scratch_dir.amd64" / "app"
    (place / "concrete_environment").mkdir(parents=True)
    lock = replay.concretized(PACKAGES).lock
    (place / "concrete_environment" / "spack.lock").write_text(json.dumps(lock))
    hashes = {node["name"]: hash_ for hash_, node in lock["concrete_specs"].items()}
    if with_pipeline:
        built = [hashes["cached"]]
        document = replay.pipeline(lock, built, {"script": ["true"]}, {"job": "x", "pipeline": "1"}, "out")
        (place / "pipeline.yml").write_text(dump(document))
    statuses = {"built": SUCCESS, "broken": FAILED, "after": SKIPPED}
    jobs = {f"{name}@1.0 /{hashes[name][:7]}": status for name, status in statuses.items()}
    return outcome(stage(folder), (PARENT, CHILD, replace(GRANDCHILD, jobs=jobs), BASE))


def test_each_package_is_counted_for_what_became_of_it(tmp_path: Path) -> None:
    result = counted(tmp_path)
    assert (result.built, result.failed, result.skipped) == ({"amd64": 1}, {"amd64": 1}, {"amd64": 2})
    assert result.reused == {"amd64": 1}
    assert not result.succeeded
    stream = io.StringIO()
    print_outcome(result, stage(tmp_path), Console(file=stream, width=200))
    assert "packages for amd64: 1 built, 1 failed, 2 skipped, 1 reused" in stream.getvalue()


def test_it_says_how_many_jobs_built_several_packages(tmp_path: Path) -> None:
    jobs = {
        "cmake@3.31 /abcdefg and 5 more": SUCCESS,
        "zlib@1.3 /bcdefgh and 1 more": FAILED,
        "perl@5.40 /cdefghi": SUCCESS,
        "hdf5@1.14 /defghij and 2 more": SKIPPED,
        "rebuild-index": SUCCESS,
    }
    lock = tmp_path / "checkout" / STATES / "1004" / "artifacts" / "x" / "jobs_scratch_dir.amd64" / "app"
    (lock / "concrete_environment").mkdir(parents=True)
    (lock / "concrete_environment" / "spack.lock").write_text(json.dumps(replay.concretized(("zlib",)).lock))
    result = outcome(stage(tmp_path), (PARENT, CHILD, replace(GRANDCHILD, jobs=jobs), BASE))
    assert result.shared_jobs == {"amd64": 2}
    stream = io.StringIO()
    print_outcome(result, stage(tmp_path), Console(file=stream, width=200))
    assert "; 2 jobs built several of them" in stream.getvalue()
    assert "several" not in printed(tmp_path / "none")


def test_nothing_counts_as_reused_where_spack_did_not_say_so(tmp_path: Path) -> None:
    result = counted(tmp_path, with_pipeline=False)
    assert result.reused == {"amd64": 0}
    assert result.skipped == {"amd64": 3}


def test_it_says_why_jobs_were_left_out(tmp_path: Path) -> None:
    assert "left out: 1 job that builds or moves images (--images runs them)" in printed(tmp_path)
    assert "left out: 1 job that builds or moves images (needs buildah)" in printed(tmp_path, ("buildah",))
