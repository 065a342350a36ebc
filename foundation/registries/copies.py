"""Images copied from registry to registry, by digest and with labels added; nothing in them is run.

Sources: OCI distribution specification, "Pushing" ("POST then PUT"), and OCI image specification (manifest,
configuration). `OnBuild`, whose commands run in whoever builds on an image, is Docker's alone ("ONBUILD" in the
Dockerfile reference).
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO, Final
from urllib.parse import urlencode, urlsplit

from foundation.doors.http import NoAnswer
from foundation.errors import CouldNotAskError, NotThereError
from foundation.registries.connections import INDEXES, MANIFESTS, RegistryConnections, mapping, verified
from foundation.registries.reference import ImageReference, parse_reference

_BLOCK: Final = 1 << 20
_AT_ONCE: Final = 4
_ATTEMPTS: Final = 3


def copy_image(registries: RegistryConnections, source: str, target: str, labels: Mapping[str, str]) -> str:
    """Copy the image of one architecture to the tag `target`, with more labels; its layers stay what they are.

    Commands that whoever builds on it would run are left out. The same image and labels always give the same digest,
    which is returned. Raises `NotThereError`, and `CouldNotAskError` when a registry does not do it.
    """
    here, there = parse_reference(source), parse_reference(target)
    with _naming(registries, source):
        which = here.digest or here.tag or "latest"
        found = registries.document(here, f"manifests/{which}", ", ".join((*INDEXES, *MANIFESTS)))
        if found is None:
            raise NotThereError(f"{source}: there is no such image")
        verified(found, which)
        manifest = mapping(found)
        configuration = _labelled(registries.configuration(here, manifest), labels)
        layers = [_descriptor(layer) for layer in manifest.get("layers") or []]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda layer: _copy_layer(registries, here, there, layer), dict.fromkeys(layers)))
    written = _written(configuration)
    config = {**manifest["config"], "digest": _digest(written), "size": len(written)}
    config.pop("data", None)
    copied = _written({**manifest, "config": config})
    with _naming(registries, target):
        _put_blob(registries, there, _digest(written), BytesIO(written))
        registries.put_manifest(there, manifest.get("mediaType", MANIFESTS[0]), copied)
    return _digest(copied)


@dataclass(frozen=True, slots=True)
class _Layer:
    digest: str
    size: int


def _labelled(configuration: dict[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    inner = configuration.get("config") or {}
    if not isinstance(inner, dict) or not isinstance(own := inner.get("Labels") or {}, dict):
        raise CouldNotAskError("the configuration of the image is damaged")
    kept = {name: value for name, value in inner.items() if name != "OnBuild"}
    # What "docker commit" once noted of the container; builders read the other one.
    rest = {name: value for name, value in configuration.items() if name != "container_config"}
    return {**rest, "config": {**kept, "Labels": {**own, **labels}}}


def _descriptor(value: Any) -> _Layer:
    match value:
        case {"digest": str(digest), "size": int(size)} if digest.startswith("sha256:"):
            return _Layer(digest, size)
    raise CouldNotAskError("the manifest has a layer without sha256 or size")


def _copy_layer(registries: RegistryConnections, here: ImageReference, there: ImageReference, layer: _Layer) -> None:
    """Through a file, so that what is not whole is never sent on, and can be sent again. Not if it is there already."""
    with _naming(registries, str(there)):
        if _has(registries, there, layer.digest):
            return
    with tempfile.TemporaryFile() as spooled:
        with _naming(registries, str(here)):
            for left in reversed(range(_ATTEMPTS)):
                try:
                    _fetch(registries, here, layer, spooled)
                    break
                except NoAnswer:
                    # Large layers take long, and connections break.
                    if not left:
                        raise
        with _naming(registries, str(there)):
            _put_blob(registries, there, layer.digest, spooled)


def _fetch(registries: RegistryConnections, here: ImageReference, layer: _Layer, spooled: BinaryIO) -> None:
    checksum, size = hashlib.sha256(), 0
    spooled.seek(0)
    spooled.truncate()
    # What is packed stays packed.
    headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
    with registries.ask(here, f"blobs/{layer.digest}", headers) as answer:
        if answer.status_code != 200:
            raise CouldNotAskError(f"layer {layer.digest}: {registries.refusal(answer)}")
        for block in answer.iter_content(_BLOCK):
            checksum.update(block)
            size += len(block)
            if size > layer.size:
                break
            spooled.write(block)
    if size != layer.size or f"sha256:{checksum.hexdigest()}" != layer.digest:
        raise CouldNotAskError(f"layer {layer.digest} arrived with another content")


def _has(registries: RegistryConnections, there: ImageReference, digest: str) -> bool:
    with registries.ask(there, f"blobs/{digest}", {}, method="HEAD") as answer:
        return answer.status_code == 200


def _put_blob(registries: RegistryConnections, there: ImageReference, digest: str, content: BinaryIO) -> None:
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


@contextmanager
def _naming(registries: RegistryConnections, image: str) -> Iterator[None]:
    """Says which image there was no answer about."""
    try:
        yield
    except (CouldNotAskError, *NoAnswer) as error:
        raise CouldNotAskError(f"{image}: {registries.reason(error)}") from None


def _written(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
