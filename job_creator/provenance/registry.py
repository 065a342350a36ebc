"""Signed statements beside images: written by a job that runs no foreign code, read by whoever wants to use one.

They are annotations of an artifact whose tag is made of the image's digest, so that one request fetches all of it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from foundation.errors import NotThereError, RefusedError
from foundation.registries.artifacts import put_annotations, read_annotations
from foundation.registries.images import RegistryClient
from foundation.registries.published import Published, Query
from foundation.registries.reference import parse_reference
from job_creator.provenance.namespaces import statement_reference
from job_creator.provenance.proofs import Proofs, Witness
from job_creator.provenance.signing import Signed, sign, verify, verify_all
from job_creator.provenance.statements import Statement

ARTIFACT_TYPE: Final = "application/vnd.spacktainers.statement.v1+json"
_STATEMENT: Final = "org.spacktainers.statement"
_SIGNATURE: Final = "org.spacktainers.signature"
_NO_STATEMENT: Final = "is signed, but what was signed is no statement"


def read_proofs(client: RegistryClient, images: Collection[str], keys: bytes) -> Proofs:
    """What these keys prove of images, each given as `repository@digest`.

    Raises `CouldNotAskError` where the registry gives no answer, or gpg cannot be asked.
    """
    places = {statement_reference(*image.split("@", 1)): image for image in images}
    said = read_annotations(client, places, ARTIFACT_TYPE)
    signed = {
        places[place]: Signed(
            found[_STATEMENT].encode(errors="surrogatepass"), found.get(_SIGNATURE, "").encode(errors="surrogatepass")
        )
        for place, found in said.items()
        if _STATEMENT in found
    }
    verdicts = verify_all(signed, keys) if signed else {}
    return Proofs({image: _witness(signed[image], verdict.reason) for image, verdict in verdicts.items()})


def put_statement(client: RegistryClient, statement: Statement, private_key: bytes, keys: bytes | None) -> None:
    """Sign a statement and lay it beside its image; what cannot be believed afterwards is not written.

    Raises `RefusedError` where the key cannot sign, or is none of those that are believed, and `CouldNotAskError`.
    """
    content = statement.to_bytes()
    signature = sign(content, private_key)
    if keys and not (verdict := verify(content, signature, keys)).is_good:
        raise RefusedError(f"signing: the statement {verdict.reason}; do the two halves of the key belong together?")
    said = {_STATEMENT: content.decode("ascii"), _SIGNATURE: signature.decode("ascii")}
    put_annotations(client, statement_reference(statement.name, statement.subject), ARTIFACT_TYPE, said)


def image_to_sign(client: RegistryClient, image: str, platform: str) -> Published:
    """An image that is named by its digest, as its registry has it now.

    Raises `NotThereError` where there is none, `RefusedError` for one of another platform, and `CouldNotAskError`.
    """
    reference = parse_reference(image)
    found = client.look_up([Query(image, platform)])[Query(image, platform)]
    if found is None:
        raise NotThereError(f"{replace(reference, tag=None)}: there is no such image for {platform}")
    if found.digest != reference.digest or found.architecture != platform:
        raise RefusedError(f"{image}: is no image for {platform} alone")
    return found


def _witness(signed: Signed, reason: str) -> Witness:
    statement = Statement.from_bytes(signed.content)
    return Witness(statement, reason or ("" if statement else _NO_STATEMENT))
