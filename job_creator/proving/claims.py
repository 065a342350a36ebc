"""What a container says of where it comes from, whoever says it: a record beside it, or the statement in it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from job_creator.provenance.intoto import NOBODY, Ingredient, Origin
from job_creator.publishing.record import PublicationRecord

LOCKFILE: Final = "spack.lock"
IMAGE: Final = "image"
_DIGEST: Final = "sha256:"


@dataclass(frozen=True, slots=True)
class OriginClaims:
    """What a container is, and what it was made from. Empty where nothing is said."""

    container: str = ""
    version: str = ""
    architecture: str = ""
    fingerprint: str = ""
    image_digest: str = ""
    """`sha256:…` of the manifest."""
    lock_sha256: str = ""
    made_on: str = ""
    """The git ref of the run that made it."""

    @property
    def title(self) -> str:
        """Which container it is, for people; empty where its name is not said."""
        if not self.container:
            return ""
        version, platform = f" {self.version}" if self.version else "", f" for {self.architecture}"
        made = f", made on {self.made_on}" if self.made_on else ""
        return f"{self.container}{version}{platform if self.architecture else ''}{made}"

    def differences(self, other: OriginClaims) -> tuple[str, ...]:
        """What both say, and differently; a file that a branch made may be published by another one as it is."""
        names = (field.name for field in fields(self) if field.name != "made_on")
        pairs = ((name, getattr(self, name), getattr(other, name)) for name in names)
        return tuple(name for name, one, two in pairs if one and two and one != two)


def of_record(record: PublicationRecord) -> OriginClaims:
    """What a record says."""
    return OriginClaims(
        record.container,
        record.version,
        record.architecture,
        record.container_checksum,
        record.image_digest,
        record.spack_lock_sha256,
        record.ref,
    )


def of_origin(origin: Origin) -> OriginClaims:
    """What a statement says."""
    materials = {one.name: one.sha256 for one in origin.materials}
    said = {name: str(origin.parameters.get(name, "")) for name in ("container", "version", "architecture")}
    said["made_on"] = str(origin.parameters.get("ref", ""))
    image = materials.get(IMAGE, "")
    return OriginClaims(
        **said,
        fingerprint=origin.fingerprint,
        image_digest=f"{_DIGEST}{image}" if image else "",
        lock_sha256=materials.get(LOCKFILE, ""),
    )


def origin_of(record: PublicationRecord, subjects: tuple[Ingredient, ...], project_url: str) -> Origin:
    """The statement that says the same as a record does."""
    materials = [
        Ingredient(IMAGE, record.image_digest.removeprefix(_DIGEST)) if record.image_digest else None,
        Ingredient(LOCKFILE, record.spack_lock_sha256) if record.spack_lock_sha256 else None,
    ]
    return Origin(
        subjects,
        {
            "container": record.container,
            "version": record.version,
            "architecture": record.architecture,
            "ref": record.ref,
            "is_default_branch": record.is_release,
        },
        record.container_checksum,
        tuple(one for one in materials if one),
        project_url if record.commit else "",
        record.commit if project_url else "",
        project_url or NOBODY,
        record.pipeline_url,
    )
