"""One repository of an OCI registry, to be changed: blobs and manifests are put, manifests are deleted by digest.

Deleting a manifest by its digest takes all its tags along, and frees no blob: that is for the registry's own garbage
collection. Deleting a tag alone is no way to go: distribution 2 refuses it, and some registries delete the manifest
then. So a tag is taken from a manifest that others lead to by moving it to an empty one first, which is then deleted.

Sources: OCI distribution specification, "Pushing" and "Deleting"; registry/handlers/manifests.go of
distribution/distribution 2.8 and 3.0.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from typing import Final

from foundation.doors.http import Answer, NoAnswer
from foundation.errors import CouldNotAskError, NotThereError
from foundation.registries.blobs import put_blob
from foundation.registries.connections import INDEXES, MANIFESTS
from foundation.registries.manifests import IMAGE
from foundation.registries.repository import OciRepository

EVERYTHING: Final = ", ".join((*MANIFESTS, *INDEXES))
"""For `OciRepository.manifest`: indexes as well."""
_REFUSED: Final = (401, 403, 405)
_GONE: Final = (400, 404)


class ChangeableRepository(OciRepository):
    """A repository that is written to as well. All methods raise `CouldNotAskError` when there is no answer."""

    def digest(self, tag: str) -> str | None:
        """The digest that a tag leads to, of an image or an index."""
        with self._answer("HEAD", f"manifests/{tag}", EVERYTHING) as answer:
            said = "" if answer is None else answer.headers.get("Docker-Content-Digest", "")
        if answer is None or said:
            return said or None
        found = self.manifest(tag, EVERYTHING)
        return found.digest if found else None

    def put_blob(self, data: bytes) -> str:
        """Put a small blob there; returns its digest."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        with self._naming():
            put_blob(self.client, self.reference, digest, BytesIO(data))
        return digest

    def put_manifest(self, tag: str, data: bytes) -> str:
        """Let a tag lead to a manifest; returns its digest.

        Raises `NotThereError` where a blob of it is gone, and `CouldNotAskError`.
        """
        kind = json.loads(data).get("mediaType", IMAGE)
        with self._sent("PUT", f"manifests/{tag}", {"Content-Type": kind}, data) as answer:
            if answer.status_code in _GONE:
                raise NotThereError(f"{self.url}: {tag}: {self.client.refusal(answer)}")
            if answer.status_code not in (200, 201):
                raise CouldNotAskError(self.client.refusal(answer))
        return f"sha256:{hashlib.sha256(data).hexdigest()}"

    def delete(self, digest: str) -> str:
        """Delete a manifest, and with it all tags that lead to it; returns why not, which is empty if it is gone."""
        with self._sent("DELETE", f"manifests/{digest}", {}) as answer:
            return "" if answer.status_code in (200, 202, 404) else self.client.refusal(answer)

    def why_not_deleted(self) -> str:
        """Why manifests cannot be deleted there; empty if they can. What is asked to be deleted does not exist."""
        try:
            with self._sent("DELETE", f"manifests/sha256:{secrets.token_hex(32)}", {}) as answer:
                return self.client.refusal(answer) if answer.status_code in _REFUSED else ""
        except CouldNotAskError as error:
            # A token service says no as well; what gave no answer has not refused.
            said = str(error).removeprefix(f"{self.url}: ")
            if said.startswith(("HTTP 401", "HTTP 403")):
                return said
            raise

    def why_not_written(self) -> str:
        """Why nothing can be put there; empty if something can. An upload is begun, and given up."""
        with self._sent("POST", "blobs/uploads/", {}) as answer:
            if answer.status_code in _REFUSED:
                return self.client.refusal(answer)
            place = answer.headers.get("Location", "").partition(f"/v2/{self.reference.repository}/")[2]
        if place:
            with self._sent("DELETE", place, {}):
                pass
        return ""

    @contextmanager
    def _sent(
        self, method: str, what: str, headers: Mapping[str, str], content: bytes | None = None
    ) -> Iterator[Answer]:
        with (
            self._naming(),
            self.client.ask(self.reference, what, headers, method=method, content=content) as answer,
        ):
            yield answer

    @contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except CouldNotAskError as error:
            raise CouldNotAskError(f"{self.url}: {error}") from None
        except NoAnswer as error:
            raise CouldNotAskError(f"{self.url}: {self.client.reason(error)}") from None
