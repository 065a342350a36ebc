from __future__ import annotations

import json
import shutil
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from foundation.errors import ExitCode
from foundation.yaml_io import dump, parse
from job_creator.__main__ import main
from job_creator.rehearsal import cli
from job_creator.rehearsal.shell import scenery
from job_creator.site.site import read_site
from tests.containers import PUBLISHED_SITE
from tests.samples import FROZEN_SITE, SITE, write_repository


def rehearse(root: Path, *options: str) -> Result:
    return CliRunner(env={"SPACKTAINERS_ONLY": "", "SPACKTAINERS_FORCE": ""}).invoke(
        main, ["-C", str(root), "rehearse", *options]
    )


def test_definitions_are_played_from_the_first_job_to_the_last(tmp_path: Path) -> None:
    root = tmp_path / "site"
    shutil.copytree(FROZEN_SITE, root)
    with (root / "spacktainers.yaml").open("a") as site:
        site.write("gitlab: {fuse: off}\n")
    result = rehearse(root, "--json")
    assert result.exit_code == ExitCode.OK, result.output
    value = json.loads(result.stdout)
    phases = {phase["name"]: phase for phase in value["phases"]}
    for architecture in ("amd64", "arm64"):
        populate, containers = (
            phases[f"populate buildcache for {architecture}"],
            phases[f"build spacktainers for {architecture}"],
        )
        assert phases["gather child artifacts"]["finish"] <= populate["start"]
        assert populate["finish"] <= containers["start"]
        # Four environments are brought into the pipeline, and the index is a job of its own.
        assert populate["jobs"] == value["packages"][architecture] + 4 + 1
    assert value["packages"]["amd64"] == value["packages"]["arm64"] > 90
    assert value["unknown"] == []
    assert value["is_lower_bound"] is False
    assert max(phase["finish"] for phase in value["phases"]) == value["seconds"]
    faster = json.loads(rehearse(root, "--json", "--runners", "100").stdout)
    assert faster["seconds"] < value["seconds"]


def test_packages_that_share_jobs_are_played_in_them() -> None:
    value = json.loads(rehearse(FROZEN_SITE, "--json").stdout)
    told = rehearse(FROZEN_SITE).stdout.splitlines()
    shown = [
        f"{value['packages'][one]} for {one}, which share {value['package_jobs'][one]} jobs"
        for one in ("amd64", "arm64")
    ]
    assert f"packages to compile with an empty build cache: {', '.join(shown)}" in told
    populate = next(phase for phase in value["phases"] if phase["name"] == "populate buildcache for amd64")
    assert 4 + 1 < populate["jobs"] < value["packages"]["amd64"]


def test_only_what_is_chosen_is_played() -> None:
    value = json.loads(rehearse(FROZEN_SITE, "--json", "--only", "hdf5-stack").stdout)
    everything = json.loads(rehearse(FROZEN_SITE, "--json").stdout)
    assert 0 < value["packages"]["amd64"] < everything["packages"]["amd64"]


def test_a_spec_that_is_not_on_record_is_named(tmp_path: Path) -> None:
    site = SITE.replace("    build_cache: {bucket: cache-arm64", "    build_cache: {bucket: cache-arm64")
    root = write_repository(tmp_path, {"container_definitions/amd64/mine.yaml": "spack: {specs: [my-code]}\n"}, site)
    result = rehearse(root)
    assert result.exit_code == ExitCode.OK, result.output
    first, *others = result.stdout.splitlines()
    assert first == "lower bound: not on record, so taken for packages without dependencies: my-code"
    assert "packages to compile with an empty build cache: at least 1 for amd64" in others
    assert any(line.startswith("with 10 runners: at least ") for line in others)
    value = json.loads(rehearse(root, "--json").stdout)
    assert next(iter(value.items())) == ("is_lower_bound", True)
    assert value["unknown"] == ["my-code"]


def test_every_option_belongs_to_an_executor_or_to_both() -> None:
    known = {str(parameter.name) for parameter in cli.rehearse.params}
    assert known - cli.EXECUTOR_OF.keys() == {"executor", "only", "as_json", "json", "verbose", "quiet"}
    assert cli.EXECUTOR_OF.keys() <= known


@pytest.mark.parametrize("parameter", cli.rehearse.params, ids=lambda parameter: str(parameter.name))
def test_an_option_of_the_other_executor_is_refused(parameter: click.Parameter, tmp_path: Path) -> None:
    executor = cli.EXECUTOR_OF.get(str(parameter.name))
    if executor is None:
        return
    other = {"simulate": "shell", "shell": "simulate"}[executor]
    value = {"runners": "3", "timeout": "3", "durations": str(tmp_path / "file")}.get(
        str(parameter.name), str(tmp_path)
    )
    (tmp_path / "file").touch()
    given = [parameter.opts[0]] if getattr(parameter, "is_flag", False) else [parameter.opts[0], value]
    result = rehearse(FROZEN_SITE, "--executor", other, *given)
    assert result.exit_code == ExitCode.USAGE
    assert f"--executor {other} does not know {parameter.opts[0]}; say --executor {executor}" in result.output


def test_all_options_that_do_not_fit_are_named_at_once() -> None:
    result = rehearse(FROZEN_SITE, "--fail", "x", "--images", "--folder", "/nope")
    assert result.exit_code == ExitCode.USAGE
    assert "--images, --fail, --folder" in result.output


def test_a_real_spack_lets_nothing_fail_on_request() -> None:
    runner = CliRunner(env={"SPACK_ROOT": "/opt/spack"})
    result = runner.invoke(main, ["rehearse", "--executor", "shell", "--fail", "hdf5"])
    assert result.exit_code == ExitCode.USAGE
    assert "--fail is for the stand-in" in result.output


def test_the_site_of_a_rehearsal_leads_nowhere_else() -> None:
    mirror = "    source_mirror: {url: https://mirror.example.org/sources}\n    runner_tags: [big]\n"
    text = PUBLISHED_SITE.replace("    runner_tags: [big]\n", mirror)
    value = parse(text.encode(), "spacktainers.yaml").value
    adapted = scenery.rehearsed_site(
        value, s3="http://127.0.0.1:1", registry=None, clusters="/here/clusters", line="1.1"
    )
    rehearsed = dump(adapted)
    for place in ("s3.example.org", "registry.example.org", "mirror.example.org", "dockerhub", "/shared"):
        assert place in text
        assert place not in rehearsed
    site = read_site(parse(rehearsed.encode(), "spacktainers.yaml"))
    for architecture in site.architectures.values():
        for bucket in (architecture.build_cache, architecture.build_cache.of_branches(), architecture.containers):
            assert bucket is None or bucket.endpoint == "http://127.0.0.1:1"
    assert {cluster.directory for cluster in site.publish.clusters.values()} == {
        "/here/clusters/alps",
        "/here/clusters/other",
    }
    assert scenery.buckets(value) == {"cache-amd64", "sifs", "cache-arm64", "cache-branches"}
    assert site.registry.image is None
    # What was read stays as it was.
    assert "s3.example.org" in dump(value)
