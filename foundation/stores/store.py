"""What a mirror is to everything else: objects with keys, and a store that lists, reads, writes, copies and deletes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Protocol, TypeVar

from foundation.errors import NotThereError

ANYTHING: Final = "*"
"""For `Store.write`: whatever is there is replaced."""
SPACKITOR_FOLDER: Final = ".spackitor/"
"""The start of the keys of what `spackitor` and `jc mirror` keep in a mirror for themselves. Spack takes every
`*.manifest.json` in a mirror for one of its own, whatever its folder; so no name in here ends like that."""
STAGING_FOLDER: Final = ".spacktainers/staging/"
"""The start of the keys of files of a mirror that are not complete yet. In a folder they belong to who writes them, and
whoever looks at the mirror does not look there."""
_KEYS_PER_TASK: Final = 16
_KEYS_IN_FLIGHT: Final = 4096

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object of a mirror: its key from the root of the mirror, its size in bytes and when it was last written.

    `modified` is in seconds since 1970. `tag` differs when the content does: the ETag of S3, inode and times of a file.
    `leads_to` is, for a link, the key that it leads to, or an absolute path outside of the mirror; otherwise empty.
    `metadata` is what was said of an object of a bucket when it was written, by names in lower case; only `look` asks.
    """

    key: str
    size: int
    modified: float
    tag: str
    leads_to: str = ""
    metadata: Mapping[str, str] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of an object, and the tag that they had."""

    data: bytes
    tag: str


class ChangedError(Exception):
    """Somebody else wrote the object since it was read."""


class Store(Protocol):
    """A mirror's server or file system.

    `write`, `copy` and `delete` are the only effects. All methods raise `CouldNotAskError` or `FileAccessError` when
    there is no answer; "not there" is a value.
    """

    url: str
    """The mirror, for messages; without credentials."""
    requests: Counter[str]
    """How many requests of each kind there were: `LIST`, `GET`, `PUT`, `COPY`, `DELETE`, `HEAD`."""
    workers: int
    """How many threads may read at once."""
    can_be_listed: bool
    """Whether `folders` and `list` answer; otherwise only what has a known name can be found, by `look`."""

    def now(self) -> float:
        """The time by the clock of the store, which is the one that `modified` is measured with."""

    def folders(self) -> tuple[str, ...]:
        """The names before the first slash of all keys, without the slash."""

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """All objects whose keys start with a prefix, which ends with a slash; of the whole mirror if it is empty."""

    def look(self, key: str) -> StoredObject | None:
        """What is known of an object without reading it; `None` if there is none. A size of -1 is not known."""

    def read(self, key: str) -> Content | None:
        """The content of an object; `None` if there is none."""

    def stream(self, key: str) -> Iterator[bytes]:
        """The content of a large object in pieces. Raises `NotThereError`."""

    def require_writable(self, keys: Iterable[str]) -> None:
        """Find out, before anything is changed, whether objects may be written and these may be removed.

        Raises `RefusedError` if not.
        """

    def write(self, key: str, data: bytes, *, replaces: str | None = ANYTHING, no_cache: bool = False) -> str:
        """Write an object, whole or not at all, and return its tag.

        `replaces` is the tag that it has to have, or `None` if it must not be there yet; otherwise `ChangedError`.
        `no_cache` asks HTTP caches to look for newer content each time.
        """

    def copy(self, source: str, target: str, *, as_new: bool = False) -> None:
        """Copy an object within the mirror; with `as_new`, it counts as written now. Raises `NotThereError`."""

    def delete(self, keys: Iterable[str]) -> Mapping[str, str]:
        """Delete objects; what is not there counts as deleted. Returns the reasons of those that could not be."""

    def keeps_versions(self) -> bool:
        """Whether what is deleted goes on to take space, as a version that only the owner of the bucket can remove."""


def in_groups(items: Iterable[_Item], size: int) -> Iterator[tuple[_Item, ...]]:
    """The items in groups of `size`, the last of which may be smaller."""
    rest = iter(items)
    while group := tuple(islice(rest, size)):
        yield group


def read_all(store: Store, keys: Iterable[str]) -> Iterator[tuple[str, Content | None]]:
    """Read many objects at once; in the order of the keys."""

    def read(some: tuple[str, ...]) -> list[tuple[str, Content | None]]:
        return [(key, store.read(key)) for key in some]

    if store.workers == 1:
        for key in keys:
            yield key, store.read(key)
        return
    with ThreadPoolExecutor(store.workers) as pool:
        # Not all of them at once: what was read waits in memory until it is used.
        for group in in_groups(keys, _KEYS_IN_FLIGHT):
            for found in pool.map(read, in_groups(group, _KEYS_PER_TASK)):
                yield from found


def look_at_all(store: Store, keys: Iterable[str]) -> tuple[StoredObject, ...]:
    """What is known of many objects, asked for at once; without those that are not there. Raises what `look` does."""
    with ThreadPoolExecutor(store.workers) as pool:
        return tuple(found for found in pool.map(store.look, keys) if found)


def copy_all(store: Store, pairs: Iterable[tuple[str, str]], *, as_new: bool = False) -> tuple[str, ...]:
    """Copy many objects at once as `Store.copy` does, and return the keys of those that are no longer there."""

    def copy(pair: tuple[str, str]) -> bool:
        try:
            store.copy(*pair, as_new=as_new)
        except NotThereError:
            return False
        return True

    every = tuple(pairs)
    with ThreadPoolExecutor(store.workers) as pool:
        return tuple(source for (source, _), done in zip(every, pool.map(copy, every), strict=True) if not done)
