"""`jc process-spack-pipeline` and `jc simulate`."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from foundation.errors import ExitCode, InvalidInputError
from foundation.yaml_io import parse
from job_creator.__main__ import main
from job_creator.builds.durations import default_durations, read_durations
from job_creator.engines.gitlab.objects import expand
from job_creator.engines.gitlab.running_pipelines import expected_by
from tests.samples import write_repository
from tests.spack_ci import RECORDINGS, pipeline


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return write_repository(tmp_path / "repository")


def jc(repository: Path, *arguments: str, architecture: str = "amd64") -> Result:
    command = ["-C", str(repository), "process-spack-pipeline", "--architecture", architecture, *arguments]
    return CliRunner().invoke(main, command, catch_exceptions=False)


def recordings(folder: Path, line: str = "1.1") -> Path:
    shutil.copytree(RECORDINGS / f"spack-{line}", folder)
    return folder


@pytest.mark.parametrize("line", ["0.21", "0.22", "0.23", "1.0", "1.1", "1.2"])
def test_recordings_are_processed(repository: Path, tmp_path: Path, line: str) -> None:
    out, summary = tmp_path / "out", tmp_path / "summary.json"
    folder = recordings(tmp_path / "in", line)
    result = jc(repository, "--pipeline-dir", str(folder), "--out-dir", str(out), "--summary", str(summary))
    assert result.exit_code == ExitCode.OK, result.output
    assert [path.name for path in out.iterdir()] == ["spack_pipeline.yaml"]
    value = json.loads(summary.read_text())
    assert f"{value['jobs_read']} jobs read" in result.stdout
    assert value["to_build"] == value["pipelines"][0]["packages"] > 0
    assert [makespan["runners"] for makespan in value["makespans"]] == [10, 40, 100]


@pytest.mark.parametrize("version", [7, 8])
def test_groups_that_need_nothing_change_no_pipeline(repository: Path, tmp_path: Path, version: int) -> None:
    """Lockfiles of Spack 1.2 have groups in them, also where an environment has none of its own."""
    folder, written = recordings(tmp_path / "in", "1.2"), {}
    for name in ("without", "with"):
        out = tmp_path / name
        result = jc(repository, "--pipeline-dir", str(folder), "--out-dir", str(out))
        assert result.exit_code == ExitCode.OK, result.output
        written[name] = {path.name: path.read_bytes() for path in out.iterdir()}
        for path in folder.rglob("spack.lock"):
            value = json.loads(path.read_bytes())
            value["_meta"]["lockfile-version"] = version
            value["roots"] = [{**root, "group": "default"} for root in value["roots"]]
            path.write_text(json.dumps(value))
    assert written["with"] == written["without"]


@pytest.mark.parametrize("other", ["0.21", "0.23", "1.0", "1.2"])
def test_containers_of_two_lines_of_spack_are_told_with_both_files(
    repository: Path, tmp_path: Path, other: str
) -> None:
    folder = tmp_path / "in"
    for line in ("1.1", other):
        container = min((RECORDINGS / f"spack-{line}").iterdir())
        shutil.copytree(container, folder / f"of-{line}")
    result = jc(repository, "--pipeline-dir", str(folder), "--out-dir", str(tmp_path / "out"))
    assert result.exit_code == ExitCode.INVALID_INPUT
    first, second = sorted((other, "1.1"))
    assert f"of-{second}/pipeline.yml:1:1: written by Spack {second}, but " in result.stderr
    assert f"of-{first}/pipeline.yml by Spack {first}" in result.stderr
    assert "was the builder image exchanged meanwhile?" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_container_of_another_line_that_lacks_nothing_is_in_nobodys_way(repository: Path, tmp_path: Path) -> None:
    folder, outs = tmp_path / "in", []
    for index, (line, container) in enumerate((("1.1", "hdf5-tools"), ("0.21", "toy-noop"))):
        shutil.copytree(RECORDINGS / f"spack-{line}" / container, folder / container)
        out = tmp_path / f"out{index}"
        result = jc(repository, "--pipeline-dir", str(folder), "--out-dir", str(out))
        assert result.exit_code == ExitCode.OK, result.output
        outs.append((out / "spack_pipeline.yaml").read_bytes())
    assert outs[0] == outs[1]


def test_children_are_written_beside_the_root_and_left_overs_go(repository: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ("--pipeline-dir", str(recordings(tmp_path / "in")), "--out-dir", str(out))
    assert jc(repository, *arguments, "--max-jobs", "20").exit_code == ExitCode.OK
    names = {path.name for path in out.iterdir()}
    assert {"packages_1.yaml", "packages_2.yaml", "spack_pipeline.yaml"} <= names
    simulated = CliRunner().invoke(main, ["simulate", str(out / "spack_pipeline.yaml"), "--runners", "5"])
    assert simulated.exit_code == ExitCode.OK, simulated.output
    assert simulated.output.startswith("5 runners: ")
    as_json = CliRunner().invoke(main, ["simulate", str(out / "spack_pipeline.yaml"), "--format", "json"])
    assert [entry["runners"] for entry in json.loads(as_json.stdout)] == [10, 40, 100]
    assert jc(repository, *arguments).exit_code == ExitCode.OK
    assert {path.name for path in out.iterdir()} == {"spack_pipeline.yaml"}


def test_a_container_that_failed_is_left_out_and_named(repository: Path, tmp_path: Path) -> None:
    """D11: one failed concretization blocked all others."""
    folder = recordings(tmp_path / "in")
    (folder / "broken" / "environment").mkdir(parents=True)
    result = jc(repository, "--pipeline-dir", str(folder), "--out-dir", str(tmp_path / "out"))
    assert result.exit_code == ExitCode.OK
    assert "left out: broken: no pipeline was generated; see the log of its job" in result.stdout


def test_a_file_that_cannot_be_used_stops_everything_unless_told_to_go_on(repository: Path, tmp_path: Path) -> None:
    folder = recordings(tmp_path / "in")
    (folder / "bad").mkdir()
    (folder / "bad" / "pipeline.yml").write_text("build: {script: [make]}\n")
    arguments = ("--pipeline-dir", str(folder), "--out-dir", str(tmp_path / "out"))
    stopped = jc(repository, *arguments)
    assert stopped.exit_code == ExitCode.INVALID_INPUT
    assert "bad/pipeline.yml:1:1: not a pipeline of 'spack ci generate'" in stopped.stderr
    assert not (tmp_path / "out").exists()
    going = jc(repository, *arguments, "--keep-going")
    assert going.exit_code == ExitCode.OK
    assert "left out: bad:" in going.stdout


def test_no_input_at_all_is_an_error(repository: Path, tmp_path: Path) -> None:
    """D10: an empty mapping was written."""
    (tmp_path / "in" / "broken").mkdir(parents=True)
    result = jc(repository, "--pipeline-dir", str(tmp_path / "in"), "--out-dir", str(tmp_path / "out"))
    assert result.exit_code == ExitCode.INVALID_INPUT
    assert "holds no pipeline of 'spack ci generate'" in result.stderr
    assert "broken: no pipeline was generated" in result.stderr


def test_where_nothing_was_asked_for_the_pipeline_has_nothing_to_do(repository: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    result = jc(repository, "--pipeline-dir", str(folder), "--out-dir", str(out), "--may-be-empty")
    assert result.exit_code == ExitCode.OK
    assert "nothing to build" in (out / "spack_pipeline.yaml").read_text()
    (folder / "broken").mkdir()
    result = jc(repository, "--pipeline-dir", str(folder), "--out-dir", str(out), "--may-be-empty")
    assert result.exit_code == ExitCode.INVALID_INPUT


def test_different_lines_of_spack_do_not_mix(repository: Path, tmp_path: Path) -> None:
    folder = recordings(tmp_path / "in")
    shutil.copytree(RECORDINGS / "spack-0.23" / "hdf5-tools", folder / "older")
    result = jc(repository, "--pipeline-dir", str(folder), "--out-dir", str(tmp_path / "out"))
    assert result.exit_code == ExitCode.INVALID_INPUT
    assert "written by Spack 0.23" in result.stderr


def test_an_unknown_architecture_is_an_error(repository: Path, tmp_path: Path) -> None:
    """D9: the architecture was cut out of the name of a folder."""
    arguments = ("--pipeline-dir", str(recordings(tmp_path / "in")), "--out-dir", str(tmp_path / "out"))
    result = jc(repository, *arguments, architecture="amd46")
    assert result.exit_code == ExitCode.INVALID_INPUT
    assert "no architecture 'amd46'; did you mean 'amd64'?" in result.stderr


def test_options_that_are_needed_are_asked_for(repository: Path) -> None:
    """D9: without them it ended in an AttributeError."""
    assert jc(repository).exit_code == ExitCode.USAGE


def test_durations_decide_what_is_urgent(repository: Path, tmp_path: Path) -> None:
    out, durations = tmp_path / "out", tmp_path / "durations.json"
    durations.write_text(json.dumps({"bzip2": 99999, "*": 1}))
    arguments = ("--pipeline-dir", str(recordings(tmp_path / "in")), "--out-dir", str(out))
    assert jc(repository, *arguments, "--durations", str(durations)).exit_code == ExitCode.OK
    jobs = expand(parse((out / "spack_pipeline.yaml").read_bytes(), "p").value)
    order = [name.partition("@")[0] for name in jobs if "@" in name]
    # What bzip2 needs comes first, then bzip2 itself.
    assert order.index("bzip2") < 8


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"a": 0}', b'{"a": true}', b'{"a": "1"}', b'{"a": -1}'])
def test_durations_that_cannot_be_used_say_so(content: bytes) -> None:
    with pytest.raises(InvalidInputError, match=r"^d\.json:1:1: "):
        read_durations(content, "d.json")


def test_durations_of_packages_that_are_not_named_come_from_the_model() -> None:
    found = read_durations(b'{"zlib": 5}', "d.json")
    assert found.of_package("zlib") == 5
    assert found.of_package("llvm") == default_durations().of_package("llvm") > 1000
    expected = expected_by(found, 45)
    fused = {"variables": {"SPACKTAINERS_PACKAGES": "zlib@1.3/abcdefg llvm@git.a/b=19/bcdefgh other/cdefghi"}}
    assert expected("llvm@19 /bcdefgh and 2 more", fused) == 45 + found.of_package("llvm") - 45 + found.default - 45
    assert found.measured == {"zlib"}
    assert not default_durations().measured
    assert expected("x", {"variables": {"SPACK_JOB_SPEC_PKG_NAME": "zlib"}}) == 5
    assert expected("zlib@1.3 /abcdefg", {}) == 5
    assert expected("x", {"script": ["true"]}) == found.service


def test_durations_may_be_what_package_jobs_wrote_down() -> None:
    record = {"hash": "a", "package": "zlib", "version": "1", "environment": "x", "because": "", "peak_memory_bytes": 1}
    records = [("built", 10), ("built", 20), ("reused", 1)]
    lines = [json.dumps({**record, "state": state, "seconds": seconds}) for state, seconds in records]
    found = read_durations("\n".join(lines).encode(), "records.jsonl", 30)
    assert found.of_package("zlib") == 45
    assert found.measured == {"zlib"}
    with pytest.raises(InvalidInputError, match=r"records\.jsonl:4:1: is no record"):
        read_durations("\n".join([*lines, "{}"]).encode(), "records.jsonl")


def test_the_same_bytes_come_out_whatever_the_hash_seed(repository: Path, tmp_path: Path) -> None:
    """D8. Sets have another order in every process."""
    chance = random.Random(0)
    nodes = [f"n{number:03}" for number in range(120)]
    edges = {
        node: set(chance.sample(nodes[max(0, index - 40) : index], min(index, 4))) for index, node in enumerate(nodes)
    }
    folder = tmp_path / "in"
    (folder / "x").mkdir(parents=True)
    (folder / "x" / "pipeline.yml").write_bytes(pipeline("x", edges))
    # That all take the same time leaves the most to chance.
    outputs = []
    for seed in ("1", "2", "3"):
        out = tmp_path / f"seed{seed}" / "out"
        command = [sys.executable, "-m", "job_creator", "-q", "-C", str(repository), "process-spack-pipeline"]
        command += ["--pipeline-dir", str(folder), "--out-dir", str(out), "--architecture", "amd64", "--max-jobs", "24"]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True)
        outputs.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert len(outputs[0]) > 5
    assert outputs[0] == outputs[1] == outputs[2]


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("", "empty"),
        ("- echo", "a list"),
        ("just words", "a single value"),
        ("registry: {image: x}\narchitectures: {amd64: {}}\n", "'registry' has neither 'script' nor 'trigger'"),
        ("build: {stage: test, image: x}\n", "'build' has neither 'script' nor 'trigger'"),
    ],
)
def test_what_is_no_pipeline_is_not_played(tmp_path: Path, text: str, fact: str) -> None:
    (tmp_path / "file.yaml").write_text(text)
    result = CliRunner().invoke(main, ["simulate", str(tmp_path / "file.yaml")])
    assert result.exit_code == ExitCode.INVALID_INPUT
    assert f"file.yaml: is no pipeline: {fact}" in result.output
    assert "give the YAML of a GitLab pipeline" in result.output


def test_a_pipeline_without_jobs_is_not_played(tmp_path: Path) -> None:
    (tmp_path / "file.yaml").write_text("variables: {A: b}\nstages: [test]\n.hidden: {image: x}\n")
    result = CliRunner().invoke(main, ["simulate", str(tmp_path / "file.yaml")])
    assert result.exit_code == ExitCode.INVALID_INPUT
    assert "file.yaml: has no job" in result.output


def test_what_lies_beside_a_pipeline_is_no_matter(tmp_path: Path) -> None:
    (tmp_path / "file.yaml").write_text("build: {script: [make]}\n")
    (tmp_path / "other.yaml").write_text("- no pipeline\n")
    assert CliRunner().invoke(main, ["simulate", str(tmp_path / "file.yaml")]).exit_code == ExitCode.OK


def test_children_of_children_are_played_too(tmp_path: Path) -> None:
    for name, child in {"root": "below", "below": "deep"}.items():
        include = f"{{include: [{{artifact: out/{child}.yaml, job: x}}], strategy: depend}}"
        (tmp_path / f"{name}.yaml").write_text(f"go: {{trigger: {include}}}\n")
    (tmp_path / "deep.yaml").write_text("build: {script: [make]}\n")
    result = CliRunner().invoke(main, ["simulate", str(tmp_path / "root.yaml"), "--format", "json", "--runners", "1"])
    assert result.exit_code == ExitCode.OK, result.output
    assert json.loads(result.output)[0]["seconds"] > 0


def test_a_pipeline_whose_children_are_made_while_it_runs_is_named_itself(repository: Path) -> None:
    assert CliRunner().invoke(main, ["-C", str(repository), "render-ci"]).exit_code == ExitCode.OK
    result = CliRunner().invoke(main, ["simulate", str(repository / ".gitlab-ci.yml")])
    assert result.exit_code == ExitCode.INVALID_INPUT
    assert (
        ".gitlab-ci.yml: base containers and pipeline generation: triggers 'generated_pipeline.yaml'" in result.output
    )
    assert "spack_pipeline.yaml, or play the whole chain with 'jc rehearse'" in result.output
