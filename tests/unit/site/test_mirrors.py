"""The mirrors that a site file names: who reads them, who may write to them, and what they change in the pipelines."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import InvalidInputError
from foundation.spack.releases import SUPPORTED
from foundation.yaml_io import dump
from job_creator import project_files
from job_creator.__main__ import main
from job_creator.engines.gitlab import names
from job_creator.engines.gitlab.base_pipeline import BasePlan, plan
from job_creator.engines.gitlab.limits import check
from job_creator.engines.gitlab.objects import Job, expand
from job_creator.environments.mirror_names import BINARY_MIRROR, DEFAULT_BRANCH_CACHE, DESTINATION, SOURCE_MIRROR
from job_creator.environments.setting import mirrors, reading_variables
from job_creator.images.knowledge import Knowledge
from job_creator.pipelines.base import HEADER
from job_creator.pipelines.packages import preparation
from job_creator.site.gitlab import Limits
from job_creator.site.run import Context
from tests.mirror_settings import FINGERPRINT, SOURCES, with_mirrors
from tests.pipeline_checks import GOLDEN, schema_errors, shellcheck
from tests.samples import (
    BRANCH,
    DEFAULT_BRANCH,
    MERGE_REQUEST,
    SITE,
    imported_definition,
    inputs,
    site,
    spack_definition,
    write_repository,
)

TAG = {**DEFAULT_BRANCH, "CI_COMMIT_TAG": "main"}
RUNS = {"default branch": DEFAULT_BRANCH, "branch": BRANCH, "merge request": MERGE_REQUEST, "tag": TAG, "laptop": {}}


def built(text: str, run: Mapping[str, str] = DEFAULT_BRANCH) -> BasePlan:
    return plan(inputs(environment=run, text=text), Knowledge(None, "not asked"))


def jobs(text: str, run: Mapping[str, str] = DEFAULT_BRANCH) -> dict[str, Job]:
    return {job.name: job for job in built(text, run).pipeline.jobs}


def environment(text: str, run: Mapping[str, str] = DEFAULT_BRANCH) -> dict[str, Any]:
    inner: dict[str, Any] = dict(built(text, run).environments["merged_spack_hdf5_amd64.yaml"]["spack"])
    return inner


def test_what_is_generated_is_what_was_reviewed() -> None:
    found = built(with_mirrors())
    generated = {
        "generated_pipeline.yaml": dump(found.pipeline.document(), HEADER),
        "merged_spack_hdf5_amd64.yaml": dump(found.environments["merged_spack_hdf5_amd64.yaml"], HEADER),
    }
    folder = GOLDEN / "mirrors"
    if os.environ.get("UPDATE_GOLDEN"):
        folder.mkdir(exist_ok=True)
        for name, content in generated.items():
            (folder / name).write_text(content)
    assert {path.name: path.read_text() for path in folder.iterdir()} == generated


@pytest.mark.parametrize("run", RUNS)
def test_the_pipeline_passes_gitlabs_schema_limits_and_shellcheck(run: str) -> None:
    document = built(with_mirrors(), RUNS[run]).pipeline.document()
    assert schema_errors(document) == []
    assert check(document, Limits(), depth=1).findings == ()
    for name, job in expand(document).items():
        if name.startswith(("mirror", "generate build cache")):
            assert shellcheck("\n".join(job["script"])) == ""


def unread(job: Job) -> Job:
    """The job without what it reads mirrors with."""
    return replace(job, variables={name: value for name, value in job.variables.items() if name != "FOREIGN_CODE_GETS"})


@pytest.mark.parametrize("run", RUNS)
def test_the_job_and_the_keys_are_where_the_run_may_push_and_nothing_else_changes(run: str) -> None:
    without, found = jobs(SITE, RUNS[run]), jobs(with_mirrors(binaries=""), RUNS[run])
    pushes = run == "default branch"
    added = {"mirror sources for amd64", "mirror sources for arm64"} if pushes else set()
    assert set(found) - set(without) == added
    assert {name: unread(job) for name, job in found.items() if name in without} == {
        name: unread(job) for name, job in without.items()
    }
    text = str([job.document() for job in found.values()]) + str(environment(with_mirrors(binaries=""), RUNS[run]))
    assert ("MIRROR_ID" in text, "MIRROR_KEY" in text) == (pushes, pushes)


@pytest.mark.parametrize(
    ("push", "who"),
    [
        ("default branch", {"default branch"}),
        ("nobody", set()),
        ("[main]", {"default branch"}),
        ("['feature/*']", {"branch"}),
        ("[main, feature/X_1]", {"default branch", "branch"}),
        ("['*']", {"default branch", "branch"}),
        ("[feature]", set()),
    ],
)
def test_the_site_says_who_may_push_and_merge_requests_and_tags_never_may(push: str, who: set[str]) -> None:
    text = with_mirrors(SOURCES.replace("}", f", push: {push}}}"), "")
    pushing = {name for name, run in RUNS.items() if "mirror sources for amd64" in jobs(text, run)}
    assert pushing == who
    for run in RUNS.values():
        assert "access_pair" not in environment(text, run)["mirrors"][SOURCE_MIRROR]


@given(st.text(max_size=8), st.booleans())
def test_no_branch_name_makes_a_merge_request_or_a_tag_push(branch: str, is_tag: bool) -> None:
    mirror = site(with_mirrors(SOURCES.replace("}", ", push: ['*', main]}"), "")).architectures["amd64"].source_mirror
    context = Context(branch=branch, default_branch=branch, is_tag=is_tag, is_merge_request=not is_tag)
    assert mirror
    assert not mirror.may_be_pushed_to(context.pushing_branch, is_default=context.is_default_branch)


def test_the_job_has_all_lockfiles_and_takes_turns_with_others_that_fill_the_same_mirror() -> None:
    many = [spack_definition(f"app{number}") for number in range(120)]
    found = plan(inputs(*many, text=with_mirrors()), Knowledge(None, "not asked"))
    job = found.pipeline.job(names.mirror_job("amd64"))
    assert job.needs[:-2] == found.pipeline.job(names.clean_job("amd64")).needs
    assert [need.job for need in job.needs[-2:]] == [
        names.build_image_job("builder", "amd64"),
        names.GENERATE_BASE_PIPELINE,
    ]
    assert len(job.needs) <= Limits().max_needs
    both = jobs(with_mirrors())
    assert {both[names.mirror_job(one)].resource_group for one in ("amd64", "arm64")} == {"mirror mirrors/sources"}
    document = both[names.mirror_job("amd64")].document()
    assert document["allow_failure"] is True
    assert document["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "parent_pipeline"', "when": "always"}]
    assert both[names.mirror_job("amd64")].image == both[names.environment_job("hdf5", "amd64")].image
    assert "AWS_ACCESS_KEY_ID" not in both[names.containers_job("arm64")].variables
    folder = jobs(with_mirrors("{url: /shared/mirror}", ""))[names.mirror_job("amd64")]
    assert folder.resource_group == "mirror /shared/mirror"
    assert "--to file:///shared/mirror --sources" in folder.script[-1]
    assert re.fullmatch(r"[A-Za-z0-9_/${}. -]+", folder.resource_group)


def test_nothing_is_mirrored_where_only_images_are_imported() -> None:
    found = plan(inputs(imported_definition(), text=with_mirrors()), Knowledge(None, "not asked"))
    assert not any(job.name.startswith("mirror") for job in found.pipeline.jobs)


@pytest.mark.parametrize("line", SUPPORTED)
@pytest.mark.parametrize("run", ["default branch", "merge request"])
def test_each_spack_gets_the_mirrors_in_words_that_it_knows(line: Any, run: str) -> None:
    text = SITE
    if not line.recipes_apart:
        text = text.replace(
            "\n  packages: {repository: https://git.example.org/spack-packages.git, ref: v2025.11.0}", ""
        )
    found = environment(with_mirrors(text=text.replace("v1.1.0", f"v{line}.0")), RUNS[run])["mirrors"]
    # Older Spacks push to the first.
    others = [] if run == "default branch" else [DEFAULT_BRANCH_CACHE]
    assert list(found) == [DESTINATION, *others, BINARY_MIRROR, SOURCE_MIRROR]
    assert found[SOURCE_MIRROR] == {"url": "s3://mirrors/sources", "source": True, "binary": False}
    signed = {"signed": True} if line.mirrors_can_be_unsigned else {}
    binaries = {"url": "https://mirrors.example.org/binaries", "source": False, "binary": True, **signed}
    assert found[BINARY_MIRROR] == binaries


def test_a_bucket_with_a_web_server_is_filled_as_a_bucket_and_read_from_the_server() -> None:
    text = with_mirrors(SOURCES.replace("}", ", url: https://mirrors.example.org/s/}"), "")
    found = environment(text)["mirrors"][SOURCE_MIRROR]
    assert found == {"url": "https://mirrors.example.org/s", "source": True, "binary": False}
    assert "--to s3://mirrors/sources" in jobs(text)[names.mirror_job("amd64")].script[-1]


def test_containers_are_installed_from_the_binary_mirror_too() -> None:
    """Spack builds nothing that it finds in a mirror, so the build cache alone would not be enough."""
    binaries = "{bucket: more, signed: false, access_key_id_variable: MORE_ID, secret_access_key_variable: MORE_KEY}"
    for run, keys in ((DEFAULT_BRANCH, {"MORE_ID", "MORE_KEY"}), (BRANCH, set()), (MERGE_REQUEST, set())):
        setting = preparation(site(with_mirrors("", binaries)), run, "amd64").setting
        assert mirrors(setting)[BINARY_MIRROR]["url"] == "s3://more"
        assert mirrors(setting)[BINARY_MIRROR]["signed"] is False
        assert set(reading_variables(setting)) >= keys
        assert ("MORE_ID" in reading_variables(setting)) is bool(keys)


@pytest.mark.parametrize(
    ("config", "result"),
    [
        ({}, {"config": {"install_tree": {"root": "/opt/software", "padded_length": 200}}}),
        ({"config": {"install_tree": "/x"}}, {"config": {"install_tree": {"root": "/x", "padded_length": 200}}}),
        (
            {"config": {"install_tree:": {"padded_length": 9}}},
            {"config": {"install_tree:": {"padded_length": 200}}},
        ),
        ({"config:": {"build_jobs": 2}}, {"config:": {"build_jobs": 2, "install_tree": {"padded_length": 200}}}),
        ({"config": None}, {"config": {"install_tree": {"padded_length": 200}}}),
    ],
)
def test_paths_are_as_long_as_the_mirror_promises_whatever_the_template_says(
    config: dict[str, Any], result: dict[str, Any]
) -> None:
    definition = replace(spack_definition(), environment={"specs": ["hdf5"], **config})
    found = plan(inputs(definition, text=with_mirrors()), Knowledge(None, "not asked"))
    written = found.environments["merged_spack_hdf5_amd64.yaml"]["spack"]
    assert {key: value for key, value in written.items() if key.startswith("config")} == result


@pytest.mark.parametrize(
    ("mirror", "said"),
    [
        ("{}", "'source_mirror' has no place; add 'bucket:' or 'url:'"),
        ("{prefix: a, url: /x}", "has keys of a bucket, but none is named; add 'bucket:'"),
        ("{bucket: aaa, url: /x}", "beside a bucket, 'url:' is the https URL at which the same files can be read"),
        ("{url: s3://aaa}", "'url' is for folders and web servers; write 'bucket:', 'prefix:' and 'endpoint:' instead"),
        (
            "{url: 'https://me:secret@example.org'}",
            "'url' holds a user or password; keep those in a masked CI variable",
        ),
        ("{url: 'https://example.org/a?X-Amz-Signature=secret'}", "'url' has something behind '?' or '#'"),
        ("{url: /a/../b}", "'/a/../b' is no plain path"),
        ("{url: relative}", "'relative' is no http or https URL"),
        ("{url: https://example.org, push: default branch}", "a web server can only be read; leave out 'push:'"),
        ("{bucket: aaa, push: [a b]}", "'a b' is no branch, and no pattern such as 'release/*'"),
        ("{bucket: aaa, access_key_id_variable: AKIAIOSFODNN7EXAMPLE}", "looks like a key itself"),
        ("{bucket: aaa, signed: false}", "unknown key 'signed'"),
        ("{url: oci://registry.example.org/a}", "registries hold binaries only; sources need a bucket"),
    ],
)
def test_faults_in_the_settings_are_named(mirror: str, said: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        site(with_mirrors(mirror, ""))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("mirror", "said"),
    [
        ("{url: /shared/mirror}", "containers are built where no folder of the runner is seen; serve it by https"),
        ("{bucket: aaa, fingerprints: [1234ABCD]}", "'1234ABCD' is no whole fingerprint of a key"),
        (
            f"{{bucket: aaa, signed: false, fingerprints: ['{FINGERPRINT}']}}",
            "mean nothing for a mirror that is not signed",
        ),
        ("{bucket: aaa, padded_length: 0}", "greater than or equal to 1"),
    ],
)
def test_faults_in_those_of_binary_mirrors_too(mirror: str, said: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        site(with_mirrors("", mirror))
    assert said in str(caught.value)


def test_the_keys_of_mirrors_are_named_and_never_written(tmp_path: Path) -> None:
    repository = write_repository(tmp_path, text=with_mirrors())
    secrets = {"MIRROR_ID": "SECRET-VALUE-1", "MIRROR_KEY": "SECRET-VALUE-2"}
    arguments = ["-C", str(repository), "create-jobs", "--offline", "-o", str(tmp_path / "out" / "pipeline.yaml")]
    done = CliRunner().invoke(main, arguments, env={**DEFAULT_BRANCH, **secrets})
    assert done.exit_code == 0, done.output
    written = done.output + "".join(path.read_text() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert "mirror sources for amd64" in written
    assert "$MIRROR_KEY" in written
    assert "SECRET-VALUE" not in written


def stand_in(folder: Path, program: str, script: str) -> dict[str, str]:
    """An environment in which a program is only a script."""
    folder.mkdir(exist_ok=True)
    (folder / program).write_text(f"#!/bin/sh\n{script}\n")
    (folder / program).chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def test_the_script_names_every_lockfile_that_arrived(tmp_path: Path) -> None:
    variables = stand_in(tmp_path / "bin", "jc", 'printf "%s\\n" "$@"; "$6" python needs')
    stand_in(tmp_path / "bin", "spack", 'printf "%s\\n" "$@"')
    job = jobs(with_mirrors("{url: /a/b}", ""))[names.mirror_job("amd64")]
    script = f"set -eu\n{job.script[-1]}"
    programs = tmp_path / project_files.PROGRAMS_FOLDER
    programs.mkdir()
    (programs / "spack_apart.py").touch()

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", script], cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
        )

    empty = run()
    assert (empty.returncode, empty.stdout) == (1, "")
    assert "nothing to mirror" in empty.stderr
    locks = [f"jobs_scratch_dir.amd64/{name}/concrete_environment/spack.lock" for name in ("a", "b")]
    for name in (*locks, "jobs_scratch_dir.amd64/failed/environment/spack.yaml"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("")
    found = run().stdout.splitlines()
    assert found[:5] == ["mirror", "create", *locks, "--spack"]
    assert found[6:9] == ["--to", "file:///a/b", "--sources"]
    # What jc takes for Spack is another user's.
    assert found[9] == "python"
    assert found[10].endswith("/spack_apart.py")
    assert found[11] == "--see"
    assert found[13:] == ["--", "python", "needs"]
    assert not Path(found[10]).parent.exists()


@pytest.mark.parametrize(("listed", "code"), [(f"pub\n      {FINGERPRINT}\nuid", 0), ("", 1), (FINGERPRINT[1:], 1)])
def test_a_job_ends_if_a_key_of_the_mirror_is_not_trusted(tmp_path: Path, listed: str, code: int) -> None:
    """Spack itself builds everything again, and says nothing."""
    variables = stand_in(tmp_path / "bin", "spack", f"cat << 'EOF'\n{listed}\nEOF")
    script = next(
        part for part in jobs(with_mirrors())[names.environment_job("hdf5", "amd64")].script if FINGERPRINT in part
    )
    done = subprocess.run(["sh", "-ec", script], env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert (FINGERPRINT in done.stderr) is bool(code)
