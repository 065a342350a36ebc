"""Packages whose few files gcc makes, installed where they say."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.components import require
from tests.packed_cache import SYSTEM, Package


@dataclass
class Workshop:
    """Makes packages below a folder."""

    root: Path
    made: list[Package] = field(default_factory=list)

    def package(
        self, name: str, version: str = "1.0", *links: Package, variant: str = "", system: str = SYSTEM
    ) -> Package:
        """An empty package."""
        package = Package(name, version, links, variant, self.root, system)
        for folder in ("bin", "lib"):
            (package.prefix / folder).mkdir(parents=True)
        self.made.append(package)
        return package

    def library(
        self,
        package: Package,
        source: str,
        *options: str,
        soname: str = "",
        needs: Iterable[str] = (),
        version_script: str = "",
    ) -> Path:
        """A shared library `lib/<soname>` of a package, with a link to it for who links it."""
        soname = soname or f"lib{package.name}.so.1"
        path = package.prefix / "lib" / soname
        more = ["-shared", "-fPIC", f"-Wl,-soname,{soname}", *options]
        if version_script:
            script = self.root / f"{path.name}.{package.hash}.map"
            script.write_text(version_script)
            more.append(f"-Wl,--version-script={script}")
        self._compile(package, path, source, more, needs)
        link = package.prefix / "lib" / f"{soname.partition('.so')[0]}.so"
        link.unlink(missing_ok=True)
        link.symlink_to(soname)
        return path

    def program(self, package: Package, source: str, *options: str, needs: Iterable[str] = (), name: str = "") -> Path:
        """A program `bin/<name>` of a package."""
        path = package.prefix / "bin" / (name or package.name)
        self._compile(package, path, source, options, needs)
        return path

    def _compile(self, package: Package, path: Path, source: str, options: Sequence[str], needs: Iterable[str]) -> None:
        file = self.root / f"{path.name}.{package.hash}.c"
        file.write_text(source)
        folders = [one.prefix / "lib" for one in package.dag.values()]
        search = [word for one in folders for word in (f"-L{one}", f"-Wl,-rpath,{one}")]
        libraries = [f"-l{name}" for name in needs]
        tags = [] if any("new-dtags" in option for option in options) else ["-Wl,--disable-new-dtags"]
        command = [require("gcc"), "-o", str(path), str(file), *options, *tags, *search, *libraries]
        subprocess.run([*command, "-Wl,--allow-shlib-undefined"], check=True)


def runs_after(program: Path, replaced: Package, replacement: Package) -> bool:
    """Whether a program starts, with everything bound at once, where one package lies in the place of another."""
    kept = replaced.prefix.with_name("kept")
    replaced.prefix.rename(kept)
    replaced.prefix.symlink_to(replacement.prefix if replacement != replaced else kept)
    try:
        done = subprocess.run([program], env={"LD_BIND_NOW": "1"}, capture_output=True, check=False, timeout=20)
    finally:
        replaced.prefix.unlink()
        kept.rename(replaced.prefix)
    return done.returncode == 0
