"""The script of the job that prunes the build cache, run on a real cache in a bucket."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from click.testing import CliRunner

from foundation.stores.s3_client import s3_client
from job_creator.engines.gitlab.base_pipeline import plan
from job_creator.engines.gitlab.names import clean_job
from job_creator.images.knowledge import Knowledge
from job_creator.project_files import environments_folder
from spackitor.__main__ import main
from tests.integration.runner import run_script
from tests.integration.s3_server import s3_environment_fixture, s3_url_fixture
from tests.samples import BRANCH, REPOSITORY, inputs, spack_definition
from tests.spack_ci import RECORDINGS

__all__ = ["s3_environment_fixture", "s3_url_fixture"]


def test_the_job_records_what_the_branch_needs_and_cleans(s3_environment: str, tmp_path: Path) -> None:
    """D86, D88: only the locks of the same pipeline counted, and what it was about to build with was removed."""
    client = s3_client(s3_environment)
    client.create_bucket(Bucket="cache-amd64")
    cache = REPOSITORY / "tests" / "data" / "buildcache" / "layout-v3"
    for path in sorted(one for one in cache.rglob("*") if one.is_file()):
        key = f"branches/{path.relative_to(cache).as_posix()}"
        client.put_object(Bucket="cache-amd64", Key=key, Body=path.read_bytes())
    definitions = [spack_definition("one"), spack_definition("other")]
    found = inputs(*definitions, environment=BRANCH)
    job = plan(found, Knowledge(None)).pipeline.job(clean_job("amd64"))
    for definition in definitions:
        below = tmp_path / environments_folder("amd64") / definition.name / "concrete_environment"
        below.mkdir(parents=True)
        shutil.copy(RECORDINGS / "spack-1.1" / "toy-partial" / "concrete_environment" / "spack.lock", below)
    environment = {
        **os.environ,
        **BRANCH,
        "S3_ENDPOINT_URL": s3_environment,
    }

    done = run_script(job.script, tmp_path, environment)

    assert done.returncode == 0, done.stdout
    result = CliRunner().invoke(
        main, ["roots", "s3://cache-amd64/branches", "--endpoint-url", s3_environment, "--json"]
    )
    (recorded,) = json.loads(result.stdout)
    assert recorded["name"] == "feature/X_1"
    assert recorded["until"] is not None

    lock = tmp_path / environments_folder("amd64") / "other" / "concrete_environment" / "spack.lock"
    lock.unlink()
    done = run_script(job.script, tmp_path, environment)
    assert done.returncode == 1
    assert "only 1 of 2 environments have a lockfile: nothing is cleaned" in done.stdout
