"""Collects what a build leaves besides its package: bitcode, sources, licenses. Part of `package_phases.py`.

What is collected of a package becomes an archive whose name is its checksum, and a record that names it. Both lie
beside the build cache, below `corpus/`:

    corpus/archives/<two letters>/<sha256>.tar.gz
    corpus/packages/<name>-<version>-<hash>.json

In an archive, each kind has a folder, and files keep their place below the stage: `bitcode/spack-src/lib/lz4.o.bc` is
the LLVM IR of `spack-src/lib/lz4.o`, `bitcode/spack-src/lib/lz4.o.cmd` what clang's compiler proper was told for it.
The record is JSON; `job_creator/corpus/entries.py` reads it.

It runs in Spack's interpreter; nothing of this project is imported here, and nothing of Spack before it is needed.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib
import json
import os
import re
import shutil
import struct
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

KINDS = ("bitcode", "sources", "licenses")
FORMAT = 1
"""Of records."""
ARCHIVES = "corpus/archives"
PACKAGES = "corpus/packages"
RECORD = "record.json"
"""The name of the record until it is pushed."""

FLAGS = "-Xclang -fembed-bitcode=all"
"""What clang is told; `all` also keeps its command line. The driver's own `-fembed-bitcode` refuses many flags."""
CLANGS = ("llvm", "clang", "apple-clang", "aocc", "llvm-amdgpu")
"""Compilers, by Spack's names, that know these flags."""

SOURCES = re.compile(
    r"\.(c|cc|cp|cpp|cxx|c\+\+|h|hh|hp|hpp|hxx|h\+\+|inc|inl|ipp|tcc|tpp|def|td|cu|cuh|m|mm"
    r"|f|for|ftn|f77|f90|f95|f03|f08|s|asm|y|l|rs|go|swift|jl|zig|d)",
    re.IGNORECASE,
)
"""Endings of what compilers read."""
LICENSES = re.compile(r"(licen[cs]es?|copying|copyrights?|notice|unlicense|legal)([-._ ].*)?", re.IGNORECASE)
"""Names of files with licenses, whatever their ending."""
LICENSE_FOLDERS = re.compile(r"licen[cs]es?", re.IGNORECASE)

BITCODE = (b"BC\xc0\xde", b"\xde\xc0\x17\x0b")
"""How bitcode begins; with `-flto`, an object is nothing else."""
RELOCATABLE = 1
"""ET_REL: an object. What is linked of several has their bitcode one behind the other."""
SECTIONS = {b".llvmbc": "bc", b".llvmcmd": "cmd"}


def embedded(content: bytes) -> dict[str, bytes]:
    """The bitcode (`bc`) of an object file, and the arguments (`cmd`) that it was compiled with; empty without any.

    Source: "Object Files" of the System V ABI, and LLVM's documentation of -fembed-bitcode.
    """
    if content.startswith(BITCODE):
        return {"bc": content}
    if content[:4] != b"\x7fELF" or len(content) < 64:
        return {}
    order = "<" if content[5] == 1 else ">"
    is_wide = content[4] == 2
    if struct.unpack_from(f"{order}H", content, 16)[0] != RELOCATABLE:
        return {}
    try:
        return dict(sections(content, order, is_wide=is_wide))
    except (struct.error, IndexError, ValueError):
        # Cut short, or only looks like an object, as files of tests do.
        return {}


def sections(content: bytes, order: str, *, is_wide: bool) -> Iterator[tuple[str, bytes]]:
    """The sections that are looked for. Raises `struct.error`, `IndexError` and `ValueError` for damaged files."""
    start = struct.unpack_from(f"{order}Q" if is_wide else f"{order}I", content, 40 if is_wide else 32)[0]
    size, count, names = struct.unpack_from(f"{order}HHH", content, 58 if is_wide else 46)
    fields, offset = (f"{order}QQ", 24) if is_wide else (f"{order}II", 16)

    def header(number: int) -> tuple[int, int, int]:
        """Name, place and length."""
        begin = start + number * size
        place, length = struct.unpack_from(fields, content, begin + offset)
        return struct.unpack_from(f"{order}I", content, begin)[0], place, length

    if count == 0:
        # More sections than the field can say: the first header has the numbers.
        count = header(0)[2]
    if names == 0xFFFF:
        names = struct.unpack_from(f"{order}I", content, start + (40 if is_wide else 24))[0]
    table = header(names)[1]
    for number in range(1, count):
        name, place, length = header(number)
        letters = content[table + name : content.index(b"\0", table + name)]
        if letters in SECTIONS:
            yield SECTIONS[letters], content[place : place + length]


def plain_files(folder: Path) -> Iterator[Path]:
    """The files below a folder, in the order of their names; links are not followed, and lead nowhere."""
    for root, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = Path(root, name)
            if path.is_file() and not path.is_symlink():
                yield path


def bitcode(stage: Path, target: Path) -> None:
    """The bitcode of all objects."""
    for path in plain_files(stage):
        with path.open("rb") as file:
            begin = file.read(4)
            if begin != b"\x7fELF" and begin not in BITCODE:
                continue
            file.seek(0)
            found = embedded(file.read())
        # With -fembed-bitcode-marker, a section has one byte that means nothing.
        if not found.get("bc", b"").startswith(BITCODE):
            continue
        for ending, content in found.items():
            if content:
                written = target / f"{path.relative_to(stage)}.{ending}"
                written.parent.mkdir(parents=True, exist_ok=True)
                written.write_bytes(content)


def sources(stage: Path, target: Path) -> None:
    """What compilers read, patched and generated, as it is after the build."""
    for path in plain_files(stage):
        if SOURCES.fullmatch(path.suffix):
            copy(path, target / path.relative_to(stage))


def licenses(stage: Path, target: Path) -> None:
    """Files with licenses."""
    for path in plain_files(stage):
        inside = path.relative_to(stage)
        is_text = not SOURCES.fullmatch(path.suffix)
        if is_text and (LICENSES.fullmatch(path.name) or any(map(LICENSE_FOLDERS.fullmatch, inside.parts[:-1]))):
            copy(path, target / inside)


def copy(path: Path, target: Path) -> None:
    """Copy a file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)


COLLECTORS = {"bitcode": bitcode, "sources": sources, "licenses": licenses}


def collect(spec: Any, kinds: list[str], target: Path) -> None:
    """Collect these kinds of the stage of a package that was built, with the record beside them."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    stage = Path(spec.package.stage.path)
    told: dict[str, Any] = {}
    for kind in kinds:
        COLLECTORS[kind](stage, target / kind)
        found = [path for path in plain_files(target / kind) if not (kind == "bitcode" and path.suffix == ".cmd")]
        told[kind] = {"files": len(found), "bytes": sum(path.stat().st_size for path in found), "because": ""}
    if "bitcode" in kinds:
        told["bitcode"]["because"] = why_no_bitcode(spec)
    about = {"hash": spec.dag_hash(), "package": spec.name, "version": str(spec.version), "license": license_of(spec)}
    (target / RECORD).write_text(json.dumps({"format": FORMAT, **about, "collected": told}), encoding="utf-8")


def variables_of(spec: Any, kinds: list[str]) -> dict[str, str]:
    """What the compiler wrapper is told for these kinds. It is no part of the spec, so the hash stays what it is."""
    if "bitcode" not in kinds or why_no_bitcode(spec):
        return {}
    return {"SPACK_ADD_DEBUG_FLAGS": "custom", "SPACK_DEBUG_FLAGS": FLAGS}


def why_no_bitcode(spec: Any) -> str:
    """Why a package has none, where its spec says so: other compilers refuse the flags."""
    others = sorted(compilers_of(spec) - {*CLANGS})
    return f"{' and '.join(others)} compiles it" if others else ""


def compilers_of(spec: Any) -> set[str]:
    """The names of the compilers of a package; from Spack 1.0 on, none for one that says that it compiles nothing."""
    if importlib.import_module("spack").spack_version_info < (1, 0):
        return {str(spec.compiler.name)}
    return {str(one.name) for one in spec.dependencies(deptype="build", virtuals=("c", "cxx", "fortran"))}


def license_of(spec: Any) -> str:
    """What the recipe says of its license; empty if it says nothing."""
    stated = getattr(spec.package, "licenses", {})
    found = sorted({str(text) for when, text in stated.items() if spec.satisfies(when)})
    return found[0] if len(found) == 1 else " AND ".join(f"({one})" for one in found)


def packed(folder: Path, archive: Path) -> dict[str, Any]:
    """Make the archive of a folder, the same of the same files, and return the record with the archive's name."""
    with archive.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as stream:
        write_tar(folder, stream)
    checksum = hashlib.sha256()
    with archive.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            checksum.update(block)
    letters = checksum.hexdigest()
    record: dict[str, Any] = json.loads((folder / RECORD).read_bytes())
    record["archive"] = {
        "key": f"{ARCHIVES}/{letters[:2]}/{letters}.tar.gz",
        "sha256": letters,
        "bytes": archive.stat().st_size,
    }
    return record


def write_tar(folder: Path, stream: gzip.GzipFile) -> None:
    """Write the files of a folder but for the record, without what differs from one build to the next."""
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in plain_files(folder):
            if path == folder / RECORD:
                continue
            member = tarfile.TarInfo(path.relative_to(folder).as_posix())
            member.size = path.stat().st_size
            with path.open("rb") as file:
                tar.addfile(member, file)


def record_key(record: dict[str, Any]) -> str:
    """Where a record lies."""
    return f"{PACKAGES}/{record['package']}-{record['version']}-{record['hash']}.json"


def push(folder: Path, url: str) -> None:
    """Write the archive of what was collected beside a build cache, then its record, and remove the folder."""
    file = folder.with_suffix(".tar.gz")
    record = packed(folder, file)
    put(file, f"{url}/{record['archive']['key']}")
    file.write_text(json.dumps(record), encoding="utf-8")
    put(file, f"{url}/{record_key(record)}")
    file.unlink()
    shutil.rmtree(folder)


def put(file: Path, url: str) -> None:
    """Copy a file to a bucket or a folder; there, whole or not at all. Raises what Spack raises."""
    scheme, mark, path = url.partition("://")
    if mark and scheme != "file":
        # With the keys that Spack has for the mirror of this URL.
        importlib.import_module("spack.util.web").push_to_url(str(file), url)
        return
    target = Path(unquote(path) if mark else url)
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copyfile(file, new)
    new.replace(target)
