"""A checkout whose container a real buildah builds; a stand-in for Spack lays the software out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from job_creator.environments.container_section import ContainerSection
from job_creator.scripts.rendering import render_text
from tests.integration.base_images import Buildah
from tests.samples import REPOSITORY

BUILDER = "localhost/builder"
RUNTIME = "localhost/runtime"
IMAGE = "localhost/container"
LABELS = {"org.example.containers.fingerprint": "f00d", "org.opencontainers.image.title": 'a "title" with spaces'}
SECRETS = {"KEY_ID": "planted-id-4f1d", "KEY_SECRET": "planted/secret+with&odd=signs"}
OWN = {"APP_HOME": "/of/the/image"}
"""What the runtime image says of itself by its ENV."""
LOCK = {"roots": [{"hash": "app", "spec": "app"}], "concrete_specs": {"app": {}, "library": {}}}
_STAND_IN = """\
FROM {base}
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
COPY spack /usr/local/bin/spack
RUN mkdir /opt/binaries && touch /opt/binaries/app /opt/binaries/library
{more}
"""


@dataclass(frozen=True)
class Project:
    """A checkout with a rendered Dockerfile in it, and the buildah that builds it."""

    folder: Path
    buildah: Buildah

    def write(self, builder: str = BUILDER, **values: Any) -> None:
        """Renders the Dockerfile."""
        given: dict[str, Any] = {
            "builder": builder,
            "runtime": RUNTIME,
            "lock": "jobs_scratch_dir/app/spack.lock",
            "folder": "artifacts/app",
            "image_files": "spacktainer/image",
            "recipes": [],
            "asked": ContainerSection(),
            "secrets": list(SECRETS),
            "paths": ["/opt/software", "/opt/view"],
            "path_directories": ["/opt/view/bin"],
            "files": [],
            "host_libraries": [],
            "source_builds": False,
            "check_signatures": True,
            "signed": True,
            "epilogue": None,
            **values,
        }
        template = (REPOSITORY / "spacktainer" / "Dockerfile.j2").read_text()
        (self.folder / "artifacts" / "app" / "Dockerfile").write_text(render_text(template, **given))

    def lock(self, content: Any) -> None:
        """Writes the lockfile."""
        path = self.folder / "jobs_scratch_dir" / "app" / "spack.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
        path.chmod(0o666)

    def build(self, *options: str) -> tuple[int, str]:
        """Builds as the job does. Returns the exit code and what was printed."""
        secrets = [option for name in SECRETS for option in ("--secret", f"id={name},env={name}")]
        labels = [option for label in LABELS.items() for option in ("--label", "=".join(label))]
        dockerfile = ("--file", "artifacts/app/Dockerfile", "--pull-never")
        return self.buildah.attempt("build", *dockerfile, *secrets, *labels, *options, ".", cwd=self.folder, **SECRETS)

    def install(self, *options: str) -> tuple[int, str]:
        """Builds no more than the installed tree."""
        return self.build("--target", "install", "--tag", "localhost/install", *options)


def project_in(folder: Path, buildah: Buildah) -> Project:
    """A checkout with all that a container is made from, but for its Dockerfile."""
    generated = folder / "artifacts" / "app"
    generated.mkdir(parents=True)
    (generated / "spack.yaml").write_text("spack:\n  specs: [app]\n  view: /opt/view\n")
    (generated / "mirrors.yaml").write_text('mirrors:\n  cache: {url: "s3://the-bucket-of-the-cache"}\n')
    (generated / "runtime_variables.json").write_text(json.dumps(OWN))
    (generated / "smoke_tests.sh").write_text('#!/bin/sh\nset -e\napp "smoke test"\n')
    image = folder / "spacktainer" / "image"
    image.mkdir(parents=True)
    for file in (REPOSITORY / "spacktainer" / "image").iterdir():
        if file.is_file():
            (image / file.name).write_bytes(file.read_bytes())
    project = Project(folder, buildah)
    project.lock(LOCK)
    return project


def build_builder(
    buildah: Buildah, context: Path, image: str = BUILDER, more: str = "", architecture: str = "amd64"
) -> None:
    """A builder image with the stand-in: the runtime image and `more` lines, with what is in `context`."""
    program = context / "spack"
    program.write_bytes((Path(__file__).parent / "stand_in_spack.sh").read_bytes())
    program.chmod(0o755)
    (context / "Dockerfile").write_text(_STAND_IN.format(base=RUNTIME, more=more))
    buildah("build", "--quiet", "--pull-never", "--arch", architecture, "--tag", image, context)
