"""Mirrors for tests: copies of recorded ones, and made-up ones of any shape, laid out as Spack does it."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from foundation.stores.folder import FileSystemStore
from foundation.stores.store import ANYTHING, Content, Store, StoredObject
from spackitor.policy.verdicts import DAY
from spackitor.survey.survey import survey
from tests.samples import REPOSITORY

RECORDED = REPOSITORY / "tests" / "data" / "buildcache"
LayoutName = Literal["v2", "v3"]
LAYOUTS: tuple[LayoutName, ...] = ("v2", "v3")
SIGNATURE = "-----BEGIN PGP SIGNATURE-----\n\nmade up\n-----END PGP SIGNATURE-----\n"


def index_key(view: str = "") -> str:
    """Where the manifest of the main index, or of a view, is in layout v3."""
    return f"v3/manifests/index/{view + '/' if view else ''}index.manifest.json"


def dag_hash(name: str) -> str:
    """A DAG hash for a made-up spec."""
    letters = "".join(chr(ord("a") + int(digit, 16)) for digit in hashlib.sha256(name.encode()).hexdigest())
    return letters[:32]


@dataclass(frozen=True)
class Made:
    """A made-up spec. Names in `links` and `builds` are those of others; `age` is in days, `size` in bytes.

    `archive` makes the content of its archive the same as that of others with the same value.
    """

    name: str
    links: Sequence[str] = ()
    builds: Sequence[str] = ()
    age: float = 0.0
    size: int = 100
    archive: str = ""
    version: str = "1.0"
    namespace: str = "builtin"
    is_listed: bool = True
    is_cached: bool = True
    is_external: bool = False
    spliced_from: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


def node_of(spec: Made, specfile: int) -> dict[str, Any]:
    """The node of a spec, as spec files of this version hold it."""
    kinds = {name: ["link"] for name in spec.links}
    for name in spec.builds:
        kinds.setdefault(name, []).append("build")
    dependencies: list[dict[str, Any]]
    if specfile == 3:
        dependencies = [{"name": name, "hash": dag_hash(name), "type": types} for name, types in kinds.items()]
    else:
        dependencies = [
            {"name": name, "hash": dag_hash(name), "parameters": {"deptypes": types, "virtuals": []}}
            for name, types in kinds.items()
        ]
    node: dict[str, Any] = {
        "name": spec.name,
        "version": spec.version,
        "arch": {"platform": "linux", "platform_os": "debian12", "target": "x86_64_v3"},
        "namespace": spec.namespace,
        "parameters": {"build_system": "generic", "cflags": []},
        "package_hash": "abc====",
    }
    if specfile < 5:
        node["compiler"] = {"name": "gcc", "version": "12.2.0"}
    if spec.is_external:
        node["external"] = {"path": "/usr", "module": None, "extra_attributes": {}}
    if dependencies:
        node["dependencies"] = dependencies
    if spec.spliced_from:
        node["build_spec"] = {"name": spec.spliced_from, "hash": dag_hash(spec.spliced_from)}
    if specfile >= 5:
        node["annotations"] = {"original_specfile_version": 5}
    return {**node, **spec.extra, "hash": dag_hash(spec.name)}


class MadeMirror:
    """Writes made-up specs into a folder, in one layout; several layouts may share a folder."""

    def __init__(
        self,
        root: Path,
        layout: LayoutName,
        specs: Iterable[Made],
        *,
        now: float,
        signed: bool = True,
        has_index: bool = True,
        specfile: int | None = None,
    ) -> None:
        self.root, self.layout, self.now, self.signed = root, layout, now, signed
        self.specs = {spec.name: spec for spec in specs}
        self.specfile = specfile or (4 if layout == "v2" else 5)
        self.root.mkdir(exist_ok=True)
        for spec in self.specs.values():
            if spec.is_cached:
                self.push(spec)
        if has_index:
            self.write_index()

    def push(self, spec: Made) -> None:
        """Write what Spack writes, in its order."""
        archive = (f"archive of {spec.archive or spec.name}" * spec.size).encode()[: spec.size]
        spec_file = json.dumps(self.spec_file(spec, archive), indent=0)
        age = spec.age
        if self.layout == "v2":
            base = f"linux-debian12-x86_64_v3-gcc-12.2.0-{spec.name}-{spec.version}-{dag_hash(spec.name)}"
            folder = f"linux-debian12-x86_64_v3/gcc-12.2.0/{spec.name}-{spec.version}"
            self.put(f"build_cache/{folder}/{base}.spack", archive, age)
            suffix = ".spec.json.sig" if self.signed else ".spec.json"
            self.put(f"build_cache/{base}{suffix}", self.sign(spec_file), age)
            return
        records = [
            self.blob(archive, "application/vnd.spack.install.v2.tar+gzip", age),
            self.blob(gzip.compress(spec_file.encode(), mtime=0), "application/vnd.spack.spec.v5+json", age),
        ]
        self.put(self.manifest_key(spec), self.sign(json.dumps({"version": 3, "data": records}, indent=0)), age)

    def manifest_key(self, spec: Made) -> str:
        """Where the manifest of a spec is."""
        return f"v3/manifests/spec/{spec.name}/{spec.name}-{spec.version}-{dag_hash(spec.name)}.spec.manifest.json"

    def spec_file(self, spec: Made, archive: bytes) -> dict[str, Any]:
        """The spec file of a spec, with the nodes of all that it depends on."""
        names = [spec.name]
        for name in names:
            other = self.specs[name]
            more = [*other.links, *other.builds, *([other.spliced_from] if other.spliced_from else [])]
            names += [one for one in dict.fromkeys(more) if one in self.specs and one not in names]
        nodes = [node_of(self.specs[name], self.specfile) for name in names]
        checksum = {"hash_algorithm": "sha256", "hash": hashlib.sha256(archive).hexdigest()}
        value = {"spec": {"_meta": {"version": self.specfile}, "nodes": nodes}, "buildcache_layout_version": 2}
        return {**value, "binary_cache_checksum": checksum} if self.layout == "v2" else value

    def write_index(self, age: float = 20.0, *, view: str = "", names: Collection[str] | None = None) -> None:
        """Write the index as Spack does, or a view of some specs (Spack 1.2)."""
        cached = [spec for spec in self.specs.values() if spec.is_cached]
        chosen = {spec.name for spec in cached if (spec.is_listed if names is None else spec.name in names)}
        listed = dict.fromkeys(spec.name for spec in cached if spec.name in chosen)
        todo = list(listed)
        while todo:
            spec = self.specs[todo.pop()]
            new = [one for one in (*spec.links, *spec.builds) if one in self.specs and one not in listed]
            listed |= dict.fromkeys(new)
            todo += new
        counts = Counter(
            one for name in listed for one in dict.fromkeys((*self.specs[name].links, *self.specs[name].builds))
        )
        installs = {
            dag_hash(name): {
                "spec": node_of(self.specs[name], self.specfile),
                "ref_count": counts[name],
                "in_buildcache": name in chosen,
            }
            for name in listed
        }
        version = {3: "6", 4: "7", 5: "8"}[self.specfile]
        data = json.dumps({"database": {"version": version, "installs": installs}}, separators=(",", ":")).encode()
        if self.layout == "v2":
            self.put("build_cache/index.json", data, age)
            self.put("build_cache/index.json.hash", hashlib.sha256(data).hexdigest().encode(), age)
            return
        record = {**self.blob(data, f"application/vnd.spack.db.v{version}+json", age), "compression": "none"}
        self.put(index_key(view), json.dumps({"version": 3, "data": [record]}).encode(), age)
        self.put("v3/layout.json", b'{"signing": "gpg"}', age)

    def blob(self, data: bytes, media_type: str, age: float) -> dict[str, Any]:
        """Write a blob; what a manifest says of it."""
        checksum = hashlib.sha256(data).hexdigest()
        self.put(f"blobs/sha256/{checksum[:2]}/{checksum}", data, age)
        return {
            "contentLength": len(data),
            "mediaType": media_type,
            "compression": "gzip",
            "checksumAlgorithm": "sha256",
            "checksum": checksum,
        }

    def sign(self, text: str) -> bytes:
        """The text with something like a signature around it, if this mirror has them."""
        if not self.signed:
            return text.encode()
        return f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{text}\n{SIGNATURE}".encode()

    def put(self, key: str, data: bytes, age: float = 0.0) -> None:
        """Write an object that is some days old."""
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (self.now - age * DAY,) * 2)


def recorded(layout: LayoutName, target: Path, *, age: float = 100.0, now: float) -> Path:
    """A copy of a recorded mirror, some days old."""
    shutil.copytree(RECORDED / f"layout-{layout}", target, dirs_exist_ok=True)
    for path in target.rglob("*"):
        if path.is_file():
            os.utime(path, (now - age * DAY,) * 2)
    return target


def listed(store: Store) -> dict[str, set[str]]:
    """What each index lists, as DAG hashes, by the key of the index."""
    return {file.key: set(file.index.listed) for file in survey(store).inventory.indexes if file.index}


def require_consistent(root: Path) -> None:
    """Fail unless all that the indexes list is there and usable, and every manifest leads to blobs that exist."""
    inventory = survey(FileSystemStore(root)).inventory
    for file in inventory.indexes:
        assert not file.damage
        whole = {one.hash for one in inventory.entries if one.layout is file.layout and one.is_whole}
        missing = (file.index.listed if file.index else frozenset()) - whole
        assert not missing, {str(inventory.specs[hash_]) for hash_ in missing}
    assert all(entry.is_whole for entry in inventory.entries), "a manifest or spec file without what it leads to"


class Killed(BaseException):
    """What ends a process without asking; nobody may catch it."""


class WatchedStore:
    """A store that writes down every effect, and can be killed after any of them."""

    workers = 1
    can_be_listed = True

    def __init__(self, store: Store, *, kill_after: int | None = None) -> None:
        self._store, self._kill_after = store, kill_after
        self.url, self.requests = store.url, store.requests
        self.effects: list[tuple[str, str]] = []
        self.before: Callable[[str, str], None] = lambda _what, _key: None

    def _effect(self, what: str, key: str) -> None:
        if self._kill_after is not None and len(self.effects) >= self._kill_after:
            raise Killed
        self.before(what, key)
        self.effects.append((what, key))

    def now(self) -> float:
        """The time of the store."""
        return self._store.now()

    def folders(self) -> tuple[str, ...]:
        """The names before the first slash."""
        return self._store.folders()

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """All objects below a prefix."""
        return self._store.list(prefix)

    def look(self, key: str) -> StoredObject | None:
        """What is known of an object."""
        return self._store.look(key)

    def read(self, key: str) -> Content | None:
        """The content of an object."""
        return self._store.read(key)

    def stream(self, key: str) -> Iterator[bytes]:
        """The content in pieces."""
        return self._store.stream(key)

    def require_writable(self, keys: Iterable[str]) -> None:
        """Whether the store may be written."""
        self._store.require_writable(keys)

    def keeps_versions(self) -> bool:
        """Whether what is deleted goes on to take space."""
        return self._store.keeps_versions()

    def write(self, key: str, data: bytes, *, replaces: str | None = ANYTHING, no_cache: bool = False) -> str:
        """Write an object."""
        self._effect("write", key)
        return self._store.write(key, data, replaces=replaces, no_cache=no_cache)

    def copy(self, source: str, target: str, *, as_new: bool = False) -> None:
        """Copy an object."""
        self._effect("copy", source)
        self._store.copy(source, target, as_new=as_new)

    def delete(self, keys: Iterable[str]) -> Mapping[str, str]:
        """Delete objects, one by one, so that a kill can hit between any two."""
        failed: dict[str, str] = {}
        for key in keys:
            self._effect("delete", key)
            failed.update(self._store.delete([key]))
        return failed
