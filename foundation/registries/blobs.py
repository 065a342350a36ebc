"""Layers and configurations in registries: whether they are there, and how they get there.

Sources: OCI distribution specification, "Pushing" ("POST then PUT"), "Mounting a blob from another repository".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, BinaryIO, Final
from urllib.parse import urlencode, urlsplit

from foundation.doors.http import NoAnswer
from foundation.errors import CouldNotAskError
from foundation.registries.connections import RegistryConnections
from foundation.registries.reference import ImageReference

_BLOCK: Final = 1 << 20
_ATTEMPTS: Final = 3


class WrongBlobError(CouldNotAskError):
    """A registry answered with another content than that of the digest."""


@dataclass(frozen=True, slots=True)
class RegistryBlob:
    """A layer or a configuration, as a manifest describes it."""

    digest: str
    size: int
    """Bytes."""

    @classmethod
    def described_by(cls, value: Any) -> RegistryBlob:
        """Read a descriptor. Raises `CouldNotAskError`."""
        match value:
            case {"digest": str(digest), "size": int(size)} if digest.startswith("sha256:"):
                return cls(digest, size)
        raise CouldNotAskError("the manifest has a layer without sha256 or size")


def has_blob(registries: RegistryConnections, there: ImageReference, digest: str) -> bool:
    """Whether a repository has a blob. Raises `CouldNotAskError` and `NoAnswer`."""
    with registries.ask(there, f"blobs/{digest}", {}, method="HEAD") as answer:
        return answer.status_code == 200


def put_blob(registries: RegistryConnections, there: ImageReference, digest: str, content: BinaryIO) -> None:
    """Upload a blob. Raises `CouldNotAskError` and `NoAnswer`."""
    with registries.ask(there, "blobs/uploads/", {}, method="POST") as answer:
        if answer.status_code != 202:
            raise CouldNotAskError(registries.refusal(answer))
        # Only its path and query, so that no answer can lead to another host.
        place = urlsplit(answer.headers.get("Location", ""))
    start = f"/v2/{there.repository}/"
    if not place.path.startswith(start):
        raise CouldNotAskError("the registry says no place of this repository to upload to")
    query = "&".join(part for part in (place.query, urlencode({"digest": digest})) if part)
    what = f"{place.path.removeprefix(start)}?{query}"
    headers = {"Content-Type": "application/octet-stream"}
    with registries.ask(there, what, headers, method="PUT", content=content) as answer:
        if answer.status_code != 201:
            raise CouldNotAskError(registries.refusal(answer))


def mount_blob(registries: RegistryConnections, here: ImageReference, there: ImageReference, digest: str) -> bool:
    """Let another repository of the same registry have a blob, without moving it; `False` where it does not do that.

    Raises `NoAnswer`.
    """
    if here.registry != there.registry:
        return False
    what = f"blobs/uploads/?{urlencode({'mount': digest, 'from': here.repository})}"
    try:
        # The token has to allow reading there, too; one that does not is answered with an upload to be made.
        with registries.ask(there, what, {}, method="POST", also_of=here.repository) as answer:
            return answer.status_code == 201
    except CouldNotAskError:
        return False  # No such token, which says nothing of the other ways.


def fetch_blob(registries: RegistryConnections, here: ImageReference, blob: RegistryBlob, spooled: BinaryIO) -> None:
    """Put a blob into a file, whole. Raises `CouldNotAskError`, `WrongBlobError` among them, and `NoAnswer`."""
    for left in reversed(range(_ATTEMPTS)):
        try:
            _fetch(registries, here, blob, spooled)
            break
        except NoAnswer:
            # Large layers take long, and connections break.
            if not left:
                raise


def _fetch(registries: RegistryConnections, here: ImageReference, blob: RegistryBlob, spooled: BinaryIO) -> None:
    checksum, size = hashlib.sha256(), 0
    spooled.seek(0)
    spooled.truncate()
    # What is packed stays packed.
    headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
    with registries.ask(here, f"blobs/{blob.digest}", headers) as answer:
        if answer.status_code != 200:
            raise CouldNotAskError(f"layer {blob.digest}: {registries.refusal(answer)}")
        for block in answer.iter_content(_BLOCK):
            checksum.update(block)
            size += len(block)
            if size > blob.size:
                break
            spooled.write(block)
    if size != blob.size or f"sha256:{checksum.hexdigest()}" != blob.digest:
        raise WrongBlobError(f"layer {blob.digest} arrived with another content")
