"""A site with a real Spack, archives that it may fetch from, and a lockfile of four small packages.

`SPACKTAINERS_SPACK_ROOT` names the root of a Spack 1.x with its recipes at hand, `SPACKTAINERS_SOURCE_ARCHIVES` a
folder with the sources of bzip2 1.0.8, lz4 1.9.4, libevent 2.1.12 and libffi 3.4.4 under any names. Debian's original
archives of these are, byte for byte, what the recipes want; the patch that libffi needs is not among them.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from foundation.yaml_io import dump
from tests.integration.components import require

SPECS: Final = ("bzip2@1.0.8", "lz4@1.9.4 build_system=makefile", "libevent@2.1.12 ~openssl", "libffi@3.4.4")
LIBFFI_PATCH: Final = "070b1f3aa87f2b56f83aff38afc42157e1692bfaa580276ecdbad2048b818ed7"


@dataclass(frozen=True)
class MirrorSite:
    """Where Spack is and where everything that it writes goes."""

    root: Path
    folder: Path
    seeds: Path
    """A source mirror with the archives."""
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> Path:
        """A folder with the lockfile."""
        return self.folder / "environment"

    @property
    def program(self) -> Path:
        """Spack's."""
        return self.root / "bin" / "spack"

    def scope(self, name: str, files: Mapping[str, Any]) -> Path:
        """A folder with configuration."""
        made = self.folder / name
        made.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            (made / file).write_text(dump(content))
        return made

    def install_scope(self, name: str, tree: Path, **install_tree: Any) -> Path:
        """The packages of this machine, and a tree, caches and stages of its own."""
        config = {
            "install_tree": {"root": str(tree), **install_tree},
            "source_cache": str(self.folder / name / "sources"),
            "build_stage": [str(self.folder / name / "stage")],
        }
        return self.scope(name, {"packages.yaml": {"packages": externals()}, "config.yaml": {"config": config}})

    @property
    def seeded(self) -> Path:
        """A scope in which Spack finds the archives."""
        return self.fetching("seeded", self.seeds.as_uri())

    def fetching(self, name: str, url: str) -> Path:
        """A scope in which Spack fetches from this mirror, and not from what it remembers of other tests."""
        config = {"source_cache": str(self.folder / name / "sources")}
        return self.scope(name, {"mirrors.yaml": mirrors(url), "config.yaml": {"config": config}})

    def spack(self, *arguments: str, scopes: Sequence[Path] = (), isolated: bool = False, ok: bool = True) -> str:
        """What Spack prints, in a network name space without a network if it is to be isolated."""
        argv = [str(self.program), *(word for scope in scopes for word in ("-C", str(scope))), *arguments]
        if isolated:
            argv = [require("unshare"), "--map-root-user", "--net", *argv]
        done = subprocess.run(argv, env=self._variables, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == ok, done.stdout + done.stderr
        return done.stdout + done.stderr

    def jc(self, *arguments: str, code: int = 0) -> str:
        """What `jc mirror` prints on stdout."""
        done = subprocess.run(self.argv(*arguments), env=self._variables, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def argv(self, command: str, *arguments: str) -> list[str]:
        """A command of `jc mirror`."""
        own = [] if command == "config" else ["--spack", str(self.program), "--cache-dir", str(self.folder / "answers")]
        return [sys.executable, "-m", "job_creator", "mirror", command, *own, *arguments]

    @property
    def _variables(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in ("SPACK_ENV", "SPACK_ENV_VIEW")}
        return {**kept, "SPACK_GNUPGHOME": str(self.folder / "gpg"), **self.variables}


def mirrors(url: str) -> dict[str, Any]:
    """One source mirror and no other."""
    return {"mirrors:": {"seeds": {"url": url, "source": True, "binary": False}}}


def externals() -> dict[str, Any]:
    """The compiler and the tools of this machine."""

    def version(*argv: str) -> str:
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split("\n", 1)[0].split()[-1]

    def external(spec: str, **more: Any) -> dict[str, Any]:
        return {"buildable": False, "externals": [{"spec": spec, "prefix": "/usr", **more}]}

    compilers = {"compilers": {"c": require("gcc"), "cxx": require("g++")}}
    return {
        "all": {"require": ["target=x86_64"]},
        "gcc": external(f"gcc@{version('gcc', '-dumpfullversion')} languages:='c,c++'", extra_attributes=compilers),
        "gmake": external(f"gmake@{version(require('make'), '--version')}"),
        "diffutils": external(f"diffutils@{version(require('diff'), '--version')}"),
    }


def make_site(folder: Path) -> MirrorSite:
    """A site in a folder, concretized; the test is skipped if something for it is missing."""
    roots = [root for root in os.environ.get("SPACKTAINERS_SPACK_ROOT", "").split(":") if root]
    archives = os.environ.get("SPACKTAINERS_SOURCE_ARCHIVES")
    if not roots or not archives:
        pytest.skip("SPACKTAINERS_SPACK_ROOT and SPACKTAINERS_SOURCE_ARCHIVES name no Spack and no archives")
    site = MirrorSite(Path(roots[0]), folder, folder / "seeds")
    if site.spack("--version").startswith("0."):
        pytest.skip("this Spack has no compilers among its packages")
    lay_out(Path(archives), site.seeds)
    site.environment.mkdir(parents=True)
    environment = {"spack": {"specs": list(SPECS), "view": False, "concretizer": {"reuse": False}}}
    (site.environment / "spack.yaml").write_text(dump(environment))
    scope = site.install_scope("concretizing", folder / "none")
    site.spack("-e", str(site.environment), "concretize", scopes=[scope])
    return site


def lay_out(archives: Path, mirror: Path) -> None:
    """Files of any names as a source mirror, in which Spack finds them by their checksums."""
    for path in archives.rglob("*.tar.*"):
        if path.is_file():
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            target = mirror / "_source-cache" / "archive" / sha256[:2] / f"{sha256}.tar.{path.suffix[1:]}"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())


def hashes(lockfile: Path) -> dict[str, str]:
    """The DAG hashes of what is not external, by name."""
    nodes = json.loads(lockfile.read_text())["concrete_specs"]
    return {node["name"]: hash_ for hash_, node in nodes.items() if "external" not in node}
