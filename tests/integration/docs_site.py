"""What the examples of the documentation find around them: a checkout, buckets, a GitLab, all on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from foundation.stores.s3_client import s3_client
from job_creator import project_files
from job_creator.engines.gitlab import names
from job_creator.inputs import read_all
from job_creator.pipelines.base import parent_document
from job_creator.publishing.record import PublicationRecord
from tests.documentation import Block
from tests.elf_files import elf_file
from tests.fakes.gitlab import FakeGitLab, FakePipeline
from tests.integration.s3_server import KEYS
from tests.locks import write_environment
from tests.packed_cache import Package, fill
from tests.packed_cache import put as write
from tests.samples import FROZEN_SITE, REPOSITORY
from tests.spack_ci import RECORDINGS
from tests.unit.spackitor.mirrors import Made, MadeMirror, dag_hash

IN_USE: Final = (
    Made(
        "hdf5",
        ["mpich", "zlib-ng"],
        ["gcc"],
        age=100,
        version="1.14.5",
        extra={"parameters": {"build_system": "autotools", "mpi": True}},
    ),
    Made("mpich", ["zlib-ng"], age=100, version="4.2.3"),
    Made("zlib-ng", age=100, version="2.2.1"),
)
CACHE: Final = (
    *IN_USE,
    Made("gcc", version="12.2.0", is_external=True, is_cached=False),
    Made("llvm", ["zlib-ng"], age=61, version="17.0.6", size=30_000),
    Made("openmpi", ["zlib-ng"], age=200, version="4.1.5", size=9_000),
    Made("osu-micro-benchmarks", ["openmpi"], age=200, version="7.4", size=2_000),
    *(Made(name, ["python"], age=5, version="2.3.4") for name in ("py-numpy", "py-scipy", "py-pandas", "py-h5py")),
    Made("python", ["zlib-ng"], age=5, version="3.13.5"),
)
"""The build cache of the examples: three specs are in use, three are old and not."""

_COPIED: Final = (
    *project_files.PARTS_WITH_DEFAULTS,
    "Makefile",
    "pyproject.toml",
    "requirements.txt",
    "requirements-dev.txt",
)
"""What a checkout has besides the site."""
_GIT: Final = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    **{f"GIT_{who}_{what}": "someone" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}
_SECONDS: Final = 200
_SIF: Final = b"#!/usr/bin/env run-singularity\n\0SIF_MAGIC\0 and so on"
_RELEASE: Final = PublicationRecord(
    "hdf5-stack",
    "1.14.5",
    "1.14.5-amd64",
    "amd64",
    "refs/heads/main",
    is_release=True,
    container_checksum="a" * 64,
    image_digest="sha256:" + "d" * 64,
    sha256=hashlib.sha256(_SIF).hexdigest(),
    size=len(_SIF),
    published="2026-01-02T03:04:05Z",
)


@dataclass(frozen=True)
class Done:
    """What came of a block: what it printed, with the names that the page uses, and the commands that failed."""

    block: Block
    output: str
    failed: Sequence[str]


@dataclass(frozen=True)
class Site:
    """The folder that examples start in, and what stands for the names in them."""

    checkout: Path
    environment: Mapping[str, str]
    stand_ins: Mapping[str, str]

    def run(self, blocks: Sequence[Block]) -> list[Done]:
        """Run blocks one after the other in one shell, as somebody does who reads the page."""
        results = self.checkout.parent / "results"
        results.mkdir()
        script = "set -uo pipefail\ntrap 'echo \"$BASH_COMMAND\" >&3' ERR\n"
        for number, block in enumerate(blocks):
            text = block.text
            for name, stand_in in self.stand_ins.items():
                text = text.replace(name, shlex.quote(stand_in) if stand_in.startswith("/") else stand_in)
            result = shlex.quote(str(results / str(number)))
            script += f"{{\n{text}}} > {result}.out 2>&1 3> {result}.failed < /dev/null\n"
        subprocess.run(["bash", "-c", script], cwd=self.checkout, env=self.environment, timeout=_SECONDS, check=False)
        return [self._done(block, results / str(number)) for number, block in enumerate(blocks)]

    def _done(self, block: Block, result: Path) -> Done:
        output = result.with_suffix(".out").read_text()
        for name, stand_in in self.stand_ins.items():
            output = output.replace(stand_in, name)
        return Done(block, output, result.with_suffix(".failed").read_text().splitlines())


@contextmanager
def site_for(page: Path, folder: Path, s3_url: str, programs: Path) -> Iterator[Site]:
    """A site for the examples of one page, with the programs that a checkout has after its first `make`."""
    checkout = _checkout(folder / "checkout", programs)
    if page.name in _ENVIRONMENTS:
        _ENVIRONMENTS[page.name](checkout / project_files.environments_folder("amd64"))
    for name in ("container_definitions", "spacktainer/files"):
        shutil.copytree(FROZEN_SITE / name, folder / "old" / name)
    (folder / "shared" / "containers").mkdir(parents=True)
    if "s3://" in page.read_text():
        _fill_cache(s3_url, folder / "mirror")
        _fill_containers(s3_url)
    (checkout / "spack.lock").write_text(json.dumps(_lockfile()))
    (checkout / "hdf5-stack.sif").write_bytes(_SIF + b" made anew")
    (checkout / "record.json").write_text(replace(_RELEASE, container_checksum="b" * 64).to_json())
    with FakeGitLab() as gitlab:
        parent = _pipeline(gitlab)
        environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            **_GIT,
            **KEYS,
            "AWS_ENDPOINT_URL": s3_url,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "CI_API_V4_URL": gitlab.api_url,
            "CI_PROJECT_ID": str(parent.project.id),
            "CI_PIPELINE_ID": str(parent.id),
            "CI_JOB_TOKEN": gitlab.job_token,
        }
        stand_ins = {
            "/shared/containers": str(folder / "shared" / "containers"),
            "https://gitlab.example.org/api/v4": gitlab.api_url,
            "GITLAB_API_TOKEN=…": f"GITLAB_API_TOKEN={gitlab.private_token}",
            "-P 4711": f"-P {parent.id}",
            # This very test is among those that it would run.
            "make test": "make --dry-run test",
        }
        if "/shared/cache" in page.read_text():
            _fill_splices(folder / "shared")
            stand_ins["/shared/cache"] = str(folder / "shared" / "cache")
        if page.name in _IN_A_FOLDER:
            stand_ins["s3://cache/amd64"] = str(folder / "mirror")
        yield Site(checkout, environment, stand_ins)


def _checkout(folder: Path, programs: Path) -> Path:
    shutil.copytree(FROZEN_SITE, folder)
    for name in _COPIED:
        copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy2
        if not (folder / name).exists():
            copy(REPOSITORY / name, folder / name)
    (folder / names.PARENT_PIPELINE).write_text(parent_document(read_all(folder, project_files.SITE_FILE)))
    # What is installed already, newer than what 'make' would install it from.
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(programs)
    for name in (".ready", ".ready-dev"):
        (folder / ".venv" / name).touch()
    origin = folder.parent / "origin.git"
    for command in (
        ["init", "--quiet", "--initial-branch", "main"],
        ["add", "."],
        ["commit", "--quiet", "--message", "all"],
        ["clone", "--quiet", "--bare", ".", str(origin)],
        ["remote", "add", "origin", str(origin)],
    ):
        subprocess.run(["git", "-C", str(folder), *command], check=True, env={**os.environ, **_GIT})
    return folder


def _recordings(folder: Path) -> None:
    shutil.copytree(RECORDINGS / "spack-1.1", folder)


_ENVIRONMENTS: Final[Mapping[str, Callable[[Path], None]]] = {
    "containers.md": lambda folder: write_environment(folder / "hdf5-stack"),
    "packages.md": _recordings,
}
"""What the jobs that concretize left behind, for the pages that go on from there."""
_IN_A_FOLDER: Final = {"clean-the-cache.md"}
"""This page says that a folder does as well; that is tried with it, and is faster."""


def _lockfile() -> dict[str, Any]:
    nodes = {
        dag_hash(spec.name): {
            "name": spec.name,
            "version": spec.version,
            "hash": dag_hash(spec.name),
            "dependencies": [
                {"name": name, "hash": dag_hash(name), "parameters": {"deptypes": ["link"], "virtuals": []}}
                for name in spec.links
            ],
        }
        for spec in IN_USE
    }
    return {
        "_meta": {"file-type": "spack-lockfile", "lockfile-version": 6, "specfile-version": 5},
        "roots": [{"hash": dag_hash("hdf5"), "spec": "hdf5"}],
        "concrete_specs": nodes,
    }


def _fill_cache(s3_url: str, folder: Path) -> None:
    """The mirrors s3://cache/amd64 and arm64, with objects as old as they say, and the empty buckets of the site."""
    client = _new_bucket(s3_url, "cache")
    now = time.time()
    MadeMirror(folder, "v3", CACHE, now=now)
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        for architecture in ("amd64", "arm64"):
            key = f"{architecture}/{path.relative_to(folder).as_posix()}"
            client.put_object(Bucket="cache", Key=key, Body=path.read_bytes())
            _set_time("cache", key, path.stat().st_mtime)
    site = (FROZEN_SITE / project_files.SITE_FILE).read_text()
    for bucket in sorted(set(re.findall(r"bucket: (spacktainers-cache-\S+)", site))):
        _new_bucket(s3_url, bucket)


def _fill_splices(folder: Path) -> None:
    """A cache of two curls and three zlibs, whose files have symbols and nothing else."""
    symbols = ("inflate", "deflate")
    zlibs = {version: Package("zlib", version, root=folder / "built") for version in ("1.2.8", "1.2.13", "1.3.1")}
    for version, package in zlibs.items():
        new = ("crc32_combine_op",) if version != "1.2.8" else ()
        write(package.prefix / "lib" / "libz.so.1", elf_file(soname="libz.so.1", defined=(*symbols, *new)))
    curls = [
        Package("curl", version, (zlibs[zlib],), root=folder / "built")
        for version, zlib in (("8.8.0", "1.2.13"), ("8.10.1", "1.3.1"))
    ]
    for package, used in zip(curls, (symbols, (*symbols, "crc32_combine_op")), strict=True):
        rpath = str(package.links[0].prefix / "lib")
        content = elf_file(needed=["libz.so.1"], rpath=rpath, undefined=used, is_program=True)
        write(package.prefix / "bin" / "curl", content)
    fill(folder / "cache", (*zlibs.values(), *curls))


def _fill_containers(s3_url: str) -> None:
    """A release, and what a branch left that is gone."""
    gone = replace(_RELEASE, tag="1.14.5__old-idea-amd64", ref="refs/heads/old-idea", is_release=False)
    for bucket, record in (("my-containers", _RELEASE), ("my-containers-branches", gone)):
        key = f"containers/{record.file_name}"
        client = _new_bucket(s3_url, bucket)
        client.put_object(Bucket=bucket, Key=key, Body=_SIF, Metadata=record.to_metadata())


def _new_bucket(s3_url: str, name: str) -> Any:
    """An empty bucket; all servers of a process have the same ones. Returns a client."""
    client = s3_client(s3_url)
    client.create_bucket(Bucket=name)
    for found in client.list_objects_v2(Bucket=name).get("Contents", []):
        client.delete_object(Bucket=name, Key=found["Key"])
    return client


def _set_time(bucket: str, key: str, seconds: float) -> None:
    """Let an object be as old as it says, which no request can do."""
    from moto.s3.models import s3_backends

    backend = next(one for account in s3_backends.values() for one in account.values() if bucket in one.buckets)
    backend.buckets[bucket].keys[key].last_modified = datetime.fromtimestamp(seconds, UTC)


def _pipeline(gitlab: FakeGitLab) -> FakePipeline:
    """A parent pipeline in whose child everything has ended."""
    parent = gitlab.project("group/containers").pipeline()
    base = parent.child(names.BASE_BRIDGE)
    packages, containers = names.package_artifacts("amd64"), names.container_artifacts("amd64")
    base.job(names.process_job("amd64"), {f"{packages}/{names.PACKAGE_PIPELINE}": b"a: {}\n"})
    base.job(names.containers_job("amd64"), {f"{containers}/{names.CONTAINER_PIPELINE}": b"b: {}\n"})
    lock = f"{project_files.environments_folder('amd64')}/hdf5-stack/concrete_environment/spack.lock"
    base.job(names.environment_job("hdf5-stack", "amd64"), {lock: b"{}\n"})
    parent.child(names.populate_bridge("amd64")).job("hdf5@1.14.5 /abc", {"build.log": b"done\n"})
    return parent
