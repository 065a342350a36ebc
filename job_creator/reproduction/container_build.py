"""The folder that builds the image of a container again, from what its job had. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from foundation.errors import Fault, InvalidInputError
from job_creator.engines.gitlab.jobs.containers import ENTRY_POINT, SMOKE_TESTS
from job_creator.reproduction.package_job import SCRIPT, VARIABLE
from job_creator.scripts.rendering import render
from job_creator.site.tools import SOURCE_DATE_EPOCH, Buildah

CONTEXT: Final = "context"
"""What the build sees, laid out as in the checkout of the job."""
_DESCRIBING: Final = ("context", "labels", "images", "secrets")


@dataclass(frozen=True, slots=True)
class FoundContainer:
    """A container as it was built, or was to be."""

    name: str
    source: str
    """Where that is known from: the address of a job, an image or a file."""
    commit: str
    platform: str
    """OCI's name of the architecture."""
    folder: str
    """Where the generated files are, seen from the checkout."""
    files: Mapping[str, bytes]
    """Those that are generated, by their path in the checkout: that folder, and the lockfile."""
    has_tests: bool
    buildah: Buildah
    config_digest: str = ""
    """Of the configuration that the image has, `sha256:…`; empty where it is not known."""
    layers: tuple[str, ...] = ()
    """What the layers of the image are unpacked, `sha256:…`, lowest first; none where that is not known."""

    def lines(self, name: str) -> tuple[str, ...]:
        """A list that describes the build. Raises `InvalidInputError` where it is missing."""
        path = f"{self.folder}/{name}"
        if path not in self.files:
            raise InvalidInputError([Fault(path, 1, 1, "is not among the files that the build was described with")])
        return tuple(self.files[path].decode("utf-8", "replace").splitlines())

    @property
    def from_checkout(self) -> tuple[str, ...]:
        """What the build sees and nobody generated: it comes from the commit."""
        return tuple(path for path in self.lines("context") if not self._generated(path))

    def _generated(self, path: str) -> bool:
        return path in self.files or any(name.startswith(f"{path}/") for name in self.files)


def container_folder(found: FoundContainer) -> dict[str, bytes]:
    """The files of the folder, but for those of the commit. Raises `InvalidInputError` for half a description."""
    seen = found.lines("context")
    files = {
        f"{CONTEXT}/{path}": content
        for path, content in found.files.items()
        if path in seen or any(path.startswith(f"{one}/") for one in seen)
    }
    facts = {
        "container": found.name,
        "source": found.source,
        "commit": found.commit,
        "platform": found.platform,
        "images": found.lines("images"),
        "config_digest": found.config_digest,
        "layers": found.layers,
    }
    secrets = found.lines("secrets")
    if odd := [name for name in secrets if not VARIABLE.fullmatch(name)]:
        raise InvalidInputError(
            [Fault(f"{found.folder}/secrets", 1, 1, f"has {odd[0]!r} where the name of a variable is expected")]
        )
    script = render(
        "reproduce_container.sh.j2",
        **facts,
        folder=found.folder,
        epoch=SOURCE_DATE_EPOCH,
        variables=found.buildah.variables(),
        labels=found.lines("labels"),
        secrets=secrets,
        has_tests=found.has_tests,
        entry_point=ENTRY_POINT,
        smoke_tests=SMOKE_TESTS,
    )
    page = render("reproduce_container.md.j2", **facts, buildah=found.buildah.image, secrets=secrets)
    return {
        **files,
        SCRIPT: script.encode(),
        "README.md": page.encode(),
        "made_from.json": json.dumps(facts, indent=1).encode(),
    }
