"""Bundles and mirrors, made and carried in a temporary folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from job_creator.mirrors.bundles import SMALLEST_PART, exports, imports
from job_creator.mirrors.bundles.bundle import LIST, Bundle, read_bundle
from job_creator.mirrors.bundles.folder import look
from job_creator.mirrors.contents import IMPORTS_KEY
from job_creator.mirrors.permissions import Permissions

INDEX = "v3/manifests/index/index.manifest.json"


MANIFEST = "v3/manifests/spec/zlib/zlib-1-abc.spec.manifest.json"


def nothing(_: int) -> None:
    """No progress is shown."""


def blob(content: bytes) -> str:
    checksum = hashlib.sha256(content).hexdigest()
    return f"blobs/sha256/{checksum[:2]}/{checksum}"


def archive(content: bytes) -> str:
    checksum = hashlib.sha256(content).hexdigest()
    return f"_source-cache/archive/{checksum[:2]}/{checksum}.tar.gz"


def fill(root: Path, files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> Path:
    """A mirror with these files."""
    root.mkdir(exist_ok=True)
    for key, content in files.items():
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for key, target in (links or {}).items():
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
    return root


def small(root: Path) -> Path:
    """A mirror with one of everything, and a file that is larger than a part may be."""
    source = bytes(range(256)) * 700
    files = {
        archive(source): source,
        blob(b"tarball"): b"tarball",
        blob(b"index"): b"index",
        MANIFEST: b"manifest",
        INDEX: b"index 1",
        "recipes/spack.git/HEAD": b"ref: refs/heads/main\n",
        ".spacktainers/needs.json": b"{}\n",
        "empty": b"",
    }
    fill(root, files, {"zlib/zlib-1.tar.gz": f"../{archive(source)}"})
    (root / "recipes/spack.git/refs/heads").mkdir(parents=True)
    return root


def export(root: Path, out: Path, since: Path | None = None, most: int = SMALLEST_PART) -> Bundle:
    before = None
    if since:
        content = (since / LIST).read_bytes()
        before = read_bundle(content, "since"), hashlib.sha256(content).hexdigest()
    exports.require_usable(out, root)
    plan = exports.make_plan(root, look(root), most, before, nothing)
    return exports.export(plan, out, None, nothing)


def import_(source: Path, root: Path, *, deep: bool = False, group: int | None = None) -> imports.ImportPlan:
    bundle = imports.open_bundle(source, None)
    imports.verify(source, bundle, nothing)
    plan = imports.compare(source, bundle, root, nothing, deep=deep)
    imports.carry_out(plan, Permissions(group), nothing)
    return plan


def content(root: Path) -> dict[str, bytes | str | None]:
    """Everything in a folder: files, links, and empty folders."""
    found: dict[str, bytes | str | None] = {}
    for path in sorted(root.rglob("*")):
        key = path.relative_to(root).as_posix()
        if key in (IMPORTS_KEY, IMPORTS_KEY.partition("/")[0]):
            continue  # a note of the one who receives
        if path.is_symlink():
            found[key] = str(path.readlink())
        elif path.is_file():
            found[key] = path.read_bytes()
        elif not any(path.iterdir()):
            found[key] = None
    return found
