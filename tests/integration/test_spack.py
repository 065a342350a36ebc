"""The environments of the frozen site in a real Spack: what we write is what it takes.

`SPACKTAINERS_SPACK_ROOT` names the root of a working Spack (its recipes at hand, no network needed); several roots
are separated by colons. Concretizing takes minutes, so this does not run without being asked for.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from foundation.yaml_io import dump, parse
from job_creator.builds.merge import merge
from job_creator.definitions.definitions import SpackDefinition, read_definitions
from job_creator.engines.gitlab.base_pipeline import Inputs, plan
from job_creator.engines.gitlab.names import environment_job
from job_creator.environments.mirror_names import DESTINATION
from job_creator.images.base_images import ImageSources
from job_creator.images.knowledge import Knowledge
from job_creator.inputs import read_all
from job_creator.pipelines.packages import read_folder
from job_creator.project_files import BASE_IMAGES, merged_environment
from job_creator.site.run import Context
from job_creator.site.site import Site, read_site
from tests.integration.real_spack import ROOTS
from tests.samples import DEFAULT_BRANCH, FROZEN_SITE

DEFINITIONS = [
    one.name
    for one in read_definitions(FROZEN_SITE, ["amd64", "arm64"])
    if isinstance(one, SpackDefinition) and one.architecture == "amd64"
]

pytestmark = [
    pytest.mark.usefixtures("components"),
    pytest.mark.skipif(not ROOTS, reason="SPACKTAINERS_SPACK_ROOT names no Spack"),
]


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _site(root: str) -> Site:
    """The frozen site, for the version of this Spack and the compiler of this machine."""
    version = re.match(r"\d+\.\d+", _output(f"{root}/bin/spack", "--version"))
    assert version
    text = (FROZEN_SITE / "spacktainers.yaml").read_text()
    text = text.replace("  ref: v1.1.0\n", f'  ref: any\n  version: "{version[0]}"\n', 1)
    if version[0].startswith("0."):
        text = re.sub(r"  packages:\n    repository: .*\n    ref: .*\n", "", text, count=1)
    compiler = f"gcc@{_output('gcc', '-dumpversion').partition('.')[0]}"
    return read_site(parse(text.replace("gcc@13", compiler).encode(), "spacktainers.yaml"))


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("name", DEFINITIONS)
def test_the_generated_job_concretizes_and_generates(root: str, name: str, tmp_path: Path) -> None:
    site = _site(root)
    written = read_all(FROZEN_SITE, "spacktainers.yaml")
    found = Inputs(
        site=site,
        context=Context.from_environment(DEFAULT_BRANCH),
        template=written.template,
        definitions=read_definitions(FROZEN_SITE, ["amd64", "arm64"], site.spack.line),
        sources=ImageSources(dict.fromkeys(BASE_IMAGES, ""), "c" * 40, "d" * 40),
    )
    built = plan(found, Knowledge(None))
    environment: Any = built.environments[merged_environment(name, "amd64")]
    mirror = environment["spack"]["mirrors"][DESTINATION]
    mirror["url"] = f"file://{tmp_path}/mirror"
    (tmp_path / merged_environment(name, "amd64")).write_text(dump(environment))
    job = built.pipeline.job(environment_job(name, "amd64"))

    done = subprocess.run(
        ["bash", "-c", "\n".join(job.script)],
        cwd=tmp_path,
        env={
            **os.environ,
            "SPACK_ROOT": root,
            "CI_PROJECT_DIR": str(tmp_path),
            "CI_JOB_NAME": job.name,
            "CI_PIPELINE_ID": "4711",
            "ARCHITECTURE": job.variables["ARCHITECTURE"],
            "CONTAINER": job.variables["CONTAINER"],
            # What a test may write to, other users do not get to.
            "SPACKTAINERS_SAME_USER": "yes",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

    folder = tmp_path / "jobs_scratch_dir.amd64" / name
    nodes = json.loads((folder / "concrete_environment" / "spack.lock").read_text())["concrete_specs"].values()
    own = [node for node in nodes if "external" not in node]
    assert own
    target = site.architectures["amd64"].target
    assert {_name(node["arch"]["target"]) for node in own} == {target}

    pipeline = parse((folder / "pipeline.yml").read_bytes(), "pipeline.yml").value
    jobs = [
        one
        for one in pipeline.values()
        if isinstance(one, dict) and "SPACK_JOB_SPEC_DAG_HASH" in one.get("variables", {})
    ]
    assert len(jobs) == len(own)
    for one in jobs:
        assert sum(line.count("steps/build_packages.py") for line in one["script"]) == 1
        assert [line.count("gpg trust") for line in one["before_script"]] == [1, 1]
        assert "setup-env.sh" in one["before_script"][0]
        assert one["image"]["name"].startswith("$CI_REGISTRY_IMAGE/builder:")
        assert one["tags"] == ["amd64"]
        assert all(not Path(path).is_absolute() for path in one["artifacts"]["paths"])
    assert "before_script" in pipeline["rebuild-index"]
    assert any("needs" in one and any(need.get("pipeline") for need in one["needs"]) for one in jobs)

    generated, failed = read_folder(tmp_path / "jobs_scratch_dir.amd64", keep_going=False)
    assert not failed
    assert {one.builds.line for one in generated} == {site.spack.line}
    assert set(merge(one.builds for one in generated).steps) == {
        one["variables"]["SPACK_JOB_SPEC_DAG_HASH"] for one in jobs
    }


def _name(target: Any) -> str:
    return target if isinstance(target, str) else str(target["name"])
