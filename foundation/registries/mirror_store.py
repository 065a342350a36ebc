"""A build cache in a registry as a store: its tags are the keys, and what spackitor keeps there has tags as well.

    <tag>                 the manifest that the tag leads to; its digest is the tag of the object
    sha256:…              a blob, which can be read and put, never removed
    .spackitor/…          content in the only layer of a manifest, whose annotation says the key. Its tag begins with
                          "spackitor." and does not end like those that Spack looks for
    .spackitor/quarantine/<run>/<tag>.removed
                          a manifest with the configuration and layers of the one that is removed, so that no garbage
                          collection frees them, and that one letter for letter in an annotation

Registries cannot write only what nobody else has changed: `write` looks right before it. What is deleted is what was
seen, by its digest: what somebody pushes to the same tag meanwhile stays.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Final

from foundation.errors import NotThereError, RefusedError
from foundation.registries.changes import EVERYTHING, ChangeableRepository
from foundation.registries.manifests import EMPTY, described, held, manifest_of, members, value_of
from foundation.stores.store import ANYTHING, SPACKITOR_FOLDER, ChangedError, Content, StoredObject

BLOB: Final = "sha256:"
"""The start of the keys of blobs."""
_OWN: Final = "spackitor."
_KEY: Final = "spackitor.key"
_ORIGINAL: Final = "spackitor.original"
_QUARANTINE: Final = f"{SPACKITOR_FOLDER}quarantine/"


class RegistryStore:
    """A `Store` of the repository of a registry. Raises `CouldNotAskError` when there is no answer."""

    can_be_listed = True
    workers = ChangeableRepository.workers

    def __init__(self, repository: ChangeableRepository) -> None:
        self.repository = repository
        self.url = repository.url
        self.requests: Counter[str] = Counter()
        self._seen: dict[str, str] = {}

    def now(self) -> float:
        """The time by the clock of the registry, as its last answer said; that of this machine if it says none."""
        try:
            return parsedate_to_datetime(self.repository.time).timestamp()
        except ValueError:
            return time.time()

    def tags(self) -> tuple[str, ...]:
        """All tags but those of what spackitor keeps."""
        return tuple(tag for tag in self._every_tag() if not tag.startswith(_OWN))

    def folders(self) -> tuple[str, ...]:
        """What spackitor keeps is in a folder; everything else is a tag."""
        every = self._every_tag()
        own = any(tag.startswith(_OWN) for tag in every)
        return (*((SPACKITOR_FOLDER.rstrip("/"),) if own else ()), *(tag for tag in every if not tag.startswith(_OWN)))

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """What spackitor keeps below a prefix; registries say no times."""
        start = _own_tag(prefix).rpartition(".")[0]
        wanted = [tag for tag in self._every_tag() if tag.startswith(f"{start}.")]
        with ThreadPoolExecutor(self.workers) as pool:
            for data in pool.map(self._manifest, wanted):
                key = _annotations(data).get(_KEY, "") if data else ""
                if data and key.startswith(prefix):
                    size = sum(layer.get("size", 0) for layer in json.loads(data).get("layers", ()))
                    yield StoredObject(key, size, 0.0, _digest(data))

    def look(self, key: str) -> StoredObject | None:
        """What a tag leads to, or how large a blob is, asked without reading it."""
        self.requests["HEAD"] += 1
        if key.startswith(BLOB):
            size = self.repository.blob_size(key)
            return None if size is None else StoredObject(key, size, 0.0, key)
        digest = self.repository.digest(_tag_of(key))
        return StoredObject(key, -1, 0.0, digest) if digest else None

    def digests(self, tags: Iterable[str]) -> dict[str, str]:
        """What tags lead to now, asked at once; without those that are not there."""
        every = tuple(tags)
        with ThreadPoolExecutor(self.workers) as pool:
            found = zip(every, pool.map(self.look, every), strict=True)
            return {tag: one.tag for tag, one in found if one}

    def read(self, key: str) -> Content | None:
        """A manifest, a blob, or the content of what spackitor keeps."""
        if key.startswith(BLOB):
            self.requests["GET"] += 1
            blob = self.repository.blob(key)
            return None if blob is None else Content(blob, key)
        data = self._manifest(_tag_of(key))
        if data is None:
            return None
        digest = _digest(data)
        if not key.startswith(SPACKITOR_FOLDER):
            self._seen[key] = digest
            return Content(data, digest)
        if _ORIGINAL in _annotations(data):
            return Content(base64.b64decode(_annotations(data)[_ORIGINAL]), digest)
        content = self.read(json.loads(data)["layers"][0]["digest"])
        return None if content is None else Content(content.data, digest)

    def stream(self, key: str) -> Iterator[bytes]:
        """The content of a blob in pieces."""
        self.requests["GET"] += 1
        yield from self.repository.stream(key)

    def require_writable(self, keys: Iterable[str]) -> None:
        """Raise `RefusedError` if nothing may be pushed."""
        del keys
        if reason := self.repository.why_not_written():
            raise RefusedError(f"{self.url}: nothing can be pushed there: {reason}")

    def write(self, key: str, data: bytes, *, replaces: str | None = ANYTHING, no_cache: bool = False) -> str:
        """Put a manifest under its tag, a blob, or what spackitor keeps. `no_cache` says nothing here."""
        del no_cache
        self.requests["PUT"] += 1
        if key.startswith(BLOB):
            return self.repository.put_blob(data)
        tag = _tag_of(key)
        is_own = key.startswith(SPACKITOR_FOLDER)
        before = self.repository.digest(tag) if is_own or replaces != ANYTHING else None
        if replaces not in (ANYTHING, before):
            raise ChangedError(key)
        manifest = data
        if is_own:
            layer, config = self.repository.put_blob(data), self.repository.put_blob(EMPTY)
            described_layer = {"digest": layer, "size": len(data)}
            manifest = manifest_of({"digest": config, "size": len(EMPTY)}, [described_layer], {_KEY: key})
        digest = self.repository.put_manifest(tag, manifest)
        self._seen[key] = digest
        if is_own and before not in (None, digest):
            self._delete(str(before))  # nothing else leads to it; where that cannot be, it stays without a tag
        return digest

    def copy(self, source: str, target: str, *, as_new: bool = False) -> None:
        """Copy a manifest into the quarantine, or from there back to its tag. Raises `NotThereError`."""
        del as_new
        if not target.startswith(_QUARANTINE):
            content = self.read(source)
            if content is None:
                raise NotThereError(f"{self.url}: no {source}")
            self.requests["PUT"] += 1
            self._seen[target] = self.repository.put_manifest(_tag_of(target), content.data)
            return
        # What was seen is what will be deleted, whatever was pushed since.
        data = self._manifest(self._seen.get(source, source))
        if data is None:
            raise NotThereError(f"{self.url}: no {source}")
        self._seen[source] = _digest(data)
        self.requests["PUT"] += 1
        annotations = {_KEY: target, _ORIGINAL: base64.b64encode(data).decode()}
        config, layers = held(data)
        if not config:
            self.repository.put_blob(EMPTY)
        self.repository.put_manifest(
            _tag_of(target), manifest_of(config or described(EMPTY), layers or [described(EMPTY)], annotations)
        )

    def delete(self, keys: Iterable[str]) -> Mapping[str, str]:
        """Delete manifests by the digests that were seen. Where other tags need one, only the tag is taken from it."""
        every = tuple(dict.fromkeys(keys))
        digests = self.digests(key for key in every if key not in self._seen)
        digests |= {key: self._seen[key] for key in every if key in self._seen}
        plain = {digest for key, digest in digests.items() if not key.startswith(SPACKITOR_FOLDER)}
        shared = plain & self._held_by_others(set(every)) if plain else set()
        by_digest: dict[str, list[str]] = {}
        for key, digest in digests.items():
            if digest not in shared:
                by_digest.setdefault(digest, []).append(key)
        failed: dict[str, str] = {}
        with ThreadPoolExecutor(self.workers) as pool:
            for some, reason in zip(by_digest.values(), pool.map(self._delete, by_digest), strict=True):
                failed |= dict.fromkeys(some, reason) if reason else {}
        for key, digest in digests.items():
            if digest in shared and (reason := self._take_tag(key, digest)):
                failed[key] = reason
        for key in every:
            self._seen.pop(key, None)
        return failed

    def keeps_versions(self) -> bool:
        """Registries have no versions of tags."""
        return False

    def _delete(self, digest: str) -> str:
        self.requests["DELETE"] += 1
        return self.repository.delete(digest)

    def _take_tag(self, tag: str, digest: str) -> str:
        """Let a tag lead to a manifest of its own, and delete that; unless somebody has moved the tag."""
        if self.repository.digest(tag) != digest:
            return ""
        self.requests["PUT"] += 1
        self.repository.put_blob(EMPTY)
        own = manifest_of(described(EMPTY), [described(EMPTY)], {_KEY: tag})
        return self._delete(self.repository.put_manifest(tag, own))

    def _held_by_others(self, going: Collection[str]) -> set[str]:
        """The digests that other tags lead to, and the members of indexes among them."""
        others = [tag for tag in self.tags() if tag not in going]
        digests = {tag: self._seen[tag] for tag in others if tag in self._seen}
        found = set(digests.values())
        with ThreadPoolExecutor(self.workers) as pool:
            for data in pool.map(partial(self._manifest, accept=EVERYTHING), set(others) - digests.keys()):
                found |= {_digest(data), *members(data)} if data else set()
        return found

    def _every_tag(self) -> tuple[str, ...]:
        self.requests["LIST"] += 1
        return self.repository.tags() or ()

    def _manifest(self, tag: str, accept: str = "") -> bytes | None:
        self.requests["GET"] += 1
        found = self.repository.manifest(tag, accept) if accept else self.repository.manifest(tag)
        return found.data if found else None


def _annotations(data: bytes) -> Mapping[str, str]:
    found = value_of(data).get("annotations")
    return found if isinstance(found, dict) else {}


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _tag_of(key: str) -> str:
    return _own_tag(key) if key.startswith(SPACKITOR_FOLDER) else key


def _own_tag(key: str) -> str:
    """`spackitor.<folder>.<checksum of the key>`: keys are too long for tags, and have other letters."""
    folder = key.removeprefix(SPACKITOR_FOLDER).partition("/")[0] if key.count("/") > 1 else "file"
    return f"{_OWN}{folder}.{hashlib.sha256(key.encode()).hexdigest()[:40]}"
