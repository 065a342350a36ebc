"""What installed programs find outside of what is shipped, as calls of `runtime_check.sh`.

    libraries.py [PATTERN]... -- PATH...

All programs and libraries below the paths are looked at. What the builder image lacks as well (libcuda.so.1, which the
host gives) is nobody's to bring, nor is what matches a pattern. Runs with the builder image's Python, hence without
dependencies.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from shlex import quote
from typing import NamedTuple

import elf

CHECK = str(Path(__file__).with_name("runtime_check.sh"))
OF_THE_C_LIBRARY = re.compile(
    r"(ld-linux.*|ld64|ld-musl-.*|libc\.musl-.*|lib(c|m|mvec|pthread|dl|rt|util|resolv|anl|thread_db))\.so(\.\d+)*"
)
"""They come with each other, and are compared by their version."""
FOUND = re.compile(r"^\s*(\S+) => (/.*?)(?: \(0x[0-9a-f]+\))?$", re.MULTILINE)
"""How `ld.so` and the loader of musl list a library."""


class Use(NamedTuple):
    """A file, and libraries that it needs."""

    loader: str
    file: Path
    owner: str
    libraries: tuple[str, ...]


class Shipped:
    """The paths that go into the container."""

    def __init__(self, paths: Sequence[str], of_host: Sequence[str] = ()) -> None:
        self.of_host = of_host
        self.paths = [Path(path) for path in paths]
        self.tops = {*self.paths, *(path.resolve() for path in self.paths)}

    def has(self, path: Path) -> bool:
        """Whether a path leads to something in them."""
        return any(top in (one, *one.parents) for one in (path, path.resolve()) for top in self.tops)

    def files(self) -> Iterator[tuple[Path, str]]:
        """Each file, and the package that it belongs to, or else its own path; links are none."""
        for top in self.paths:
            prefix, owner = Path("/nowhere"), ""
            for folder, folders, names in os.walk(top):
                here = Path(folder)
                if ".spack" in folders:
                    folders.remove(".spack")
                    prefix, owner = here, package(here / ".spack" / "spec.json")
                is_known = owner and prefix in (here, *here.parents)
                for path in (here / name for name in names):
                    if path.is_file() and not path.is_symlink():
                        yield path, owner if is_known else str(path)

    def uses(self) -> Iterator[Use]:
        """What the files need that they do not find in what is shipped by what they say themselves."""
        shell = elf.linked(Path("/bin/sh"))
        for path, owner in self.files():
            found = elf.linked(path)
            if found is None or not (found.loader or shell):
                continue
            origin = str(path.parent)
            search = [one.replace("${ORIGIN}", origin).replace("$ORIGIN", origin) for one in found.search]
            outside = (name for name in found.needed if not self.is_found(name, search))
            needed = tuple(name for name in outside if not self.is_given(Path(name).name))
            yield Use(found.loader or (shell.loader if shell else ""), path, owner, needed)

    def is_found(self, name: str, search: Sequence[str]) -> bool:
        """Whether the first of these folders that has a library is in what is shipped."""
        places = (Path(folder, name) for folder in search or [""])
        first = next((path for path in places if path.is_absolute() and path.exists()), None)
        return first is not None and self.has(first)

    def is_given(self, name: str) -> bool:
        """Whether a library is of the C library, or the host brings it."""
        return bool(OF_THE_C_LIBRARY.fullmatch(name)) or any(fnmatchcase(name, one) for one in self.of_host)

    def found_outside(self, use: Use) -> dict[str, str]:
        """Where the loader of this image finds those libraries that are not shipped."""
        printed = run("/bin/sh", CHECK, "trace", use.loader, str(use.file))
        # A library that is named by its path is found there, or not at all.
        where = {name: name for name in use.libraries if Path(name).is_absolute() and Path(name).exists()}
        where.update((name, path) for name, path in FOUND.findall(printed) if name in use.libraries)
        return {name: path for name, path in where.items() if not self.has(Path(path))}

    def calls(self) -> Iterator[str]:
        """Lines of shell: with which C library was built, what each file needs, and where this image has that."""
        loaders, places = set(), {}
        for use in self.uses():
            if not self.has(Path(use.loader)) and use.loader not in loaders:
                loaders.add(use.loader)
                yield called("built_with", use.loader, run("/bin/sh", CHECK, "libc", use.loader).strip())
            outside = self.found_outside(use) if use.libraries else {}
            if outside:
                places.update(outside)
                yield called("needs", use.loader, str(use.file), use.owner, *outside)
        for library, path in sorted(places.items()):
            yield called("report", library, path, distribution_package(path))


def package(path: Path) -> str:
    """Name and version, as Spack notes them in a prefix; empty where it does not."""
    try:
        root = json.loads(path.read_text(encoding="utf-8"))["spec"]["nodes"][0]
        return f"{root['name']}@{root['version']}"
    except (OSError, ValueError, LookupError, TypeError):
        return ""


def distribution_package(path: str) -> str:
    """The package of the image's distribution that a file is of; empty where nobody knows."""
    real = str(Path(path).resolve())
    # Lists of packages may have the paths of before /lib became a link.
    for one in dict.fromkeys((path, real, real.replace("/usr/lib", "/lib", 1))):
        if printed := run("dpkg-query", "--search", one):
            return printed.partition(":")[0]
        if printed := run("rpm", "--query", "--file", "--queryformat", "%{NAME}\n", one):
            return printed.splitlines()[0]
    return ""


def run(*command: str) -> str:
    """What a program prints; empty where it is missing or fails."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return ""
    return os.fsdecode(done.stdout)


def called(*words: str) -> str:
    """A line of shell."""
    return " ".join(map(quote, words))


if __name__ == "__main__":
    end = sys.argv.index("--")
    shipped = Shipped(sys.argv[end + 1 :], sys.argv[1:end])
    sys.stdout.buffer.write(os.fsencode("".join(f"{line}\n" for line in shipped.calls())))
