"""The whole chain under gitlab-ci-local: parent, children, grandchildren, and what comes of failures.

`SPACKTAINERS_NODE_MODULES` may name a folder in which npm put node and gitlab-ci-local; CONTRIBUTING.md says how.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from foundation.errors import ExitCode
from foundation.yaml_io import load
from job_creator.engines.gitlab.limits import check
from job_creator.engines.gitlab.names import NOTHING_TO_DO
from job_creator.site.gitlab import Limits
from tests.e2e.rehearsals import PLANTED, Rehearsed, rehearse, repository
from tests.integration.apptainer import apptainer_for
from tests.integration.base_images import buildah_in, debian_root, import_root, shared_folder
from tests.integration.registry_server import Registry, run_registry
from tests.pipeline_checks import schema_errors
from tests.samples import REPOSITORY


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Somebody else's registry, with an image to build on for both architectures."""
    folder = tmp_path_factory.mktemp("upstream")
    (folder / "registry").mkdir()
    with run_registry(folder / "registry", tls=True) as found:
        buildah = buildah_in(folder / "buildah", SSL_CERT_FILE=str(found.certificate))
        import_root(buildah, debian_root(shared_folder(tmp_path_factory)), "localhost/base")
        buildah("manifest", "create", "both")
        for architecture in ("amd64", "arm64"):
            container = buildah("from", "--pull-never", "localhost/base").strip()
            buildah("config", "--arch", architecture, container)
            buildah("commit", "--quiet", container, f"localhost/base-{architecture}")
            buildah("manifest", "add", "both", f"localhost/base-{architecture}")
        buildah("manifest", "push", "--all", "both", f"docker://{found.host}/public/base:1")
        yield found


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Rehearsed:
    """Everything, with images, twice."""
    folder = tmp_path_factory.mktemp("rehearsal")
    apptainer = apptainer_for(folder)
    buildah = buildah_in(folder / "buildah")
    driver = "overlay" if 'driver = "overlay"' in (folder / "buildah" / "storage.conf").read_text() else "vfs"
    root = repository(folder / "repository", host=registry.host, driver=driver)
    assert registry.certificate is not None
    environment = {
        name: value
        for name, value in buildah.environment.items()
        if name not in ("HOME", "TMPDIR", "PATH", "BUILDAH_FORMAT")
    }
    environment |= {
        "PATH": f"{apptainer.program.parent}:{os.environ['PATH']}",
        "SSL_CERT_FILE": str(registry.certificate),
        "STORAGE_DRIVER": driver,
    }
    return rehearse(root, folder / "run", "--images", "--again", environment=environment)


pytestmark = [pytest.mark.usefixtures("components"), pytest.mark.xdist_group("rehearsal")]


def test_everything_is_built_then_nothing(done: Rehearsed) -> None:
    assert done.exit_code == ExitCode.OK, done.printed
    first, second = done.result["runs"]
    assert first["succeeded"]
    assert second["succeeded"]
    assert (first["built"], first["reused"]) == ({"amd64": 34, "arm64": 9}, {"amd64": 0, "arm64": 0})
    assert first["containers"] == [
        "compress for amd64",
        "compress for arm64",
        "other for amd64",
        "other for arm64",
    ]
    assert not first["left_out"]
    assert (second["built"], second["reused"]) == ({}, {"amd64": 34, "arm64": 9})
    assert not second["containers"]
    again = done.pipelines(1)
    assert not [job for job in again["base containers and pipeline generation"]["jobs"] if job.startswith("build ")]
    assert list(again["populate buildcache for amd64"]["jobs"]) == ["nothing to build"]
    assert list(again["build spacktainers for arm64"]["jobs"]) == [NOTHING_TO_DO]


def test_the_packages_of_one_architecture_came_from_a_root_and_its_children(done: Rehearsed) -> None:
    every = done.pipelines()
    populate = every["populate buildcache for amd64"]
    below = [one for one in every.values() if one["parent"] == populate["id"]]
    assert sorted(one["name"] for one in below) == [f"packages {number}" for number in range(1, len(below) + 1)]
    assert sum("@" in job for one in (populate, *below) for job in one["jobs"]) == 34
    assert below
    assert any("@" in job for job in populate["jobs"])
    assert every["populate buildcache for arm64"]["bridges"] == []


def test_containers_are_published_on_this_machine_alone(done: Rehearsed) -> None:
    names = {path.name for path in (done.folder / "clusters" / "alps").iterdir()}
    assert {"compress", "other"} <= names
    jobs = done.pipelines()["build spacktainers for amd64"]["jobs"]
    assert jobs["download compress SIF to alps"] == "success"
    assert not [job for job in jobs if "Docker Hub" in job]
    log = done.folder / "checkout" / ".rehearsal" / str(done.pipelines()["build spacktainers for amd64"]["id"])
    logs = "".join(path.read_text() for path in (log / "output").glob("build*compress*"))
    assert 'smoke test: test "$(bzip2 --help)"' in logs


def test_every_pipeline_passes_gitlabs_schema_and_limits(done: Rehearsed) -> None:
    states = done.folder / "checkout" / ".rehearsal"
    files = [done.folder / "checkout" / ".gitlab-ci.yml"]
    for pattern in ("generated_pipeline.yaml", "*.artifacts.*/*pipeline.yaml", "*.artifacts.*/packages_*.yaml"):
        files += sorted(states.glob(f"*/artifacts/*/{pattern}"))
    names = {path.name for path in files}
    assert names >= {"generated_pipeline.yaml", "spack_pipeline.yaml", "packages_1.yaml", "spacktainer_pipeline.yaml"}
    for path in files:
        document = load(path.read_bytes(), str(path))
        assert schema_errors(document) == [], path
        depth = 0 if path.name == ".gitlab-ci.yml" else 2 if path.name.startswith("packages_") else 1
        assert check(document, Limits(), depth=depth).findings == (), path


def test_no_secret_is_in_anything_that_was_written_or_printed(done: Rehearsed) -> None:
    """What was planted outside is nowhere; what was made up for the rehearsal is only where jobs get it from."""
    variables = json.loads((done.folder / "rehearsal.json").read_text())["variables"]
    made_up = [value for value in variables.values() if value.startswith("rehearsal-")]
    assert len(made_up) >= 6
    assert done.folder.stat().st_mode & 0o077 == 0
    inputs = {"rehearsal.json", "variables.yml"}
    found = []
    for path in _files(done.folder):
        content = _readable(path)
        found += [(path, secret) for secret in PLANTED.values() if secret.encode() in content]
        # gitlab-ci-local writes the variables of a job into the script that it starts.
        if path.name not in inputs and path.parent.name != "scripts":
            found += [(path, secret) for secret in made_up if secret.encode() in content]
    assert not found
    assert not [secret for secret in (*PLANTED.values(), *made_up) if secret in done.printed]


def _files(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        # Objects of git are compressed; what is in them lies beside them.
        folders[:] = [name for name in folders if name not in (".git", "containers.git")]
        yield from (Path(root) / name for name in names if not (Path(root) / name).is_symlink())


def _readable(path: Path) -> bytes:
    """The content of a file, unpacked if it is a layer of an image."""
    content = path.read_bytes() if path.is_file() else b""
    if content.startswith(b"\x1f\x8b"):
        with suppress(OSError, EOFError, zlib.error):
            return gzip.decompress(content)
    return content


def test_without_an_engine_it_says_what_to_install(tmp_path: Path) -> None:
    root = repository(tmp_path / "repository")
    command = [sys.executable, "-m", "job_creator", "-C", str(root), "rehearse", "--executor", "shell"]
    folder = tmp_path / "nothing"
    folder.mkdir()
    done = subprocess.run(
        [*command, "--folder", str(tmp_path / "run"), "--node-modules", str(folder)],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == ExitCode.NOT_READY
    assert "gitlab-ci-local" in done.stderr
    assert "make rehearsal-tools" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_folder_that_no_rehearsal_made_is_left_alone(tmp_path: Path) -> None:
    root = repository(tmp_path / "repository")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").write_text("kept")
    found = rehearse(root, tmp_path / "mine")
    assert found.exit_code == ExitCode.REFUSED
    assert (tmp_path / "mine" / "precious").read_text() == "kept"
