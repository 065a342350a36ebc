"""In-toto statements beside images: as referrers, for whoever reads such statements, with what else lies beside them.

What the pipelines of this project ask is the smaller statement of `registry`, which takes one request.
"""

from __future__ import annotations

from typing import Final

from foundation.errors import RefusedError
from foundation.registries.artifacts import put_referrer, read_referrer, referrers
from foundation.registries.connections import RegistryConnections
from foundation.registries.reference import ImageReference
from job_creator.provenance.intoto import ENVELOPE_TYPE, NOBODY, Ingredient, Opened, Origin, opened, sealed
from job_creator.provenance.statements import Statement

_DIGEST: Final = "sha256:"


def origin_of_image(statement: Statement, project_url: str, beside: tuple[Ingredient, ...]) -> Origin:
    """What a statement says, as in-toto says it; `beside` is what lies beside the image, by media type."""
    lock = (Ingredient("spack.lock", statement.lock_sha256),) if statement.lock_sha256 else ()
    return Origin(
        (Ingredient(statement.name, statement.subject.removeprefix(_DIGEST)),),
        {
            "kind": str(statement.kind),
            "architecture": statement.architecture,
            "ref": statement.ref,
            "is_default_branch": statement.is_default_branch,
        },
        statement.fingerprint,
        lock,
        project_url if statement.commit else "",
        statement.commit if project_url else "",
        project_url or NOBODY,
        statement.pipeline_url,
        beside,
    )


def put_origin(
    client: RegistryConnections, image: ImageReference, origin: Origin, private_key: bytes, keys: bytes | None
) -> None:
    """Sign a statement about an image that is named by its digest, and lay it beside that.

    Raises `RefusedError` where the key cannot sign or is none that is believed, `NotThereError`, `CouldNotAskError`.
    """
    envelope = sealed(origin, private_key)
    if keys and not (verdict := opened(envelope, keys).verdict).is_good:
        raise RefusedError(f"signing: the statement {verdict.reason}; do the two halves of the key belong together?")
    put_referrer(client, image, ENVELOPE_TYPE, envelope)


def read_origins(client: RegistryConnections, image: ImageReference, keys: bytes | None) -> tuple[Opened, ...]:
    """The statements beside an image, and what their signatures are worth. Raises `CouldNotAskError`."""
    described = [one for one in referrers(client, image) if one.get("artifactType") == ENVELOPE_TYPE]
    return tuple(opened(read_referrer(client, image, one) or b"", keys) for one in described)
