"""Images of somebody who would like to write into the job that converts them: with links where Apptainer writes."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from job_creator.scripts.rendering import render
from tests.integration.apptainer import apptainer_for

pytestmark = [pytest.mark.usefixtures("components"), pytest.mark.xdist_group("images")]

LINKS: Mapping[str, Mapping[str, str]] = {
    "nothing": {},
    "all of it": {".singularity.d": ""},
    "what starts": {".singularity.d/runscript": "/runscript"},
    "labels": {".singularity.d/labels.json": "/labels"},
    "the environment": {".singularity.d/env": ""},
    "/etc": {"etc": ""},
    "files in /etc": {"etc/hosts": "/hosts", "etc/resolv.conf": "/resolv.conf"},
    "temporary folders": {"tmp": "", "var/tmp": ""},
}
"""Where a link is in the image, and where below a folder of the job it leads."""


def _blob(layout: Path, content: bytes) -> dict[str, object]:
    digest = hashlib.sha256(content).hexdigest()
    (layout / "blobs" / "sha256" / digest).write_bytes(content)
    return {"digest": f"sha256:{digest}", "size": len(content)}


def image(layout: Path, links: Mapping[str, str]) -> None:
    """An OCI image of one layer."""
    (layout / "blobs" / "sha256").mkdir(parents=True)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, target in {"bin/sh": "busybox", **links}.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", **_blob(layout, packed.getvalue())}
    entry = ["/bin/sh", "-c", "id > /stolen"]
    configuration = {"architecture": "amd64", "os": "linux", "config": {"Entrypoint": entry}}
    configuration["rootfs"] = {"type": "layers", "diff_ids": [layer["digest"]]}
    config = _blob(layout, json.dumps(configuration).encode())
    config["mediaType"] = "application/vnd.oci.image.config.v1+json"
    manifest = _blob(layout, json.dumps({"schemaVersion": 2, "config": config, "layers": [layer]}).encode())
    manifest["mediaType"] = "application/vnd.oci.image.manifest.v1+json"
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def seen(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


@pytest.mark.parametrize("name", LINKS)
def test_nothing_is_written_into_the_job(tmp_path: Path, name: str) -> None:
    apptainer = apptainer_for(tmp_path)
    job, work = tmp_path / "job", tmp_path / "work"
    (job / "bin").mkdir(parents=True)
    work.mkdir()
    (job / "bin" / "jc").write_text("of the job")
    (job / "runscript").write_text("of the job")
    image(work / "image", {place: f"{job}{target}" for place, target in LINKS[name].items()})
    (work / "x.def").write_text("Bootstrap: oci\nFrom: image\n%labels\n    a b\n")
    before = seen(job)
    script = f"""set -eu
work={work}
{render("confined.sh.j2")}
cd "$work"
mkdir -p cache built
confinement singularity build --sandbox sandbox oci:image
confinement singularity build --force --notest x.sif x.def
"""
    done = subprocess.run(
        ["bash", "-c", script],
        env={
            "PATH": f"{apptainer.program.parent}:{os.environ['PATH']}",
            "HOME": str(work),
            "IS_FOREIGN": "yes",
            **{
                f"{tool}_{key}DIR": str(work / place)
                for tool in ("APPTAINER", "SINGULARITY")
                for key, place in (("CACHE", "cache"), ("TMP", "built"))
            },
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert seen(job) == before
    if not LINKS[name]:
        assert done.returncode == 0, done.stdout
        assert (work / "x.sif").is_file()
    elif name != "temporary folders":
        assert done.returncode != 0, done.stdout
