"""A real Spack that knows nothing but a few packages of our own, so that it concretizes within a second.

Its solver takes minutes where it may choose among all of the builtin packages, and these here need no sources. The
compiler is a package as well where the line has it so; the C library and the wrapper are what a solver asks for.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from foundation.spack.releases import SpackLine
from foundation.yaml_io import dump
from tests.integration.real_spack import alone
from tests.integration.toy_environment import line_of
from tests.samples import REPOSITORY

SCRIPT: Final = REPOSITORY / "job_creator" / "scripts" / "templates" / "inside_spack.py"
RECIPE: Final = """\
from spack.package import *


class {name}(Package):
    has_code = False

    {body}
"""
VERSIONS: Final = """\
version("2.1")
    version("2.0")
    version("1.0")

    variant("flavour", default="plain", values=("plain", "rich"))
    variant("shared", default=True)
"""
PACKAGES: Final = {
    "tiny-lib": VERSIONS,
    "tiny-app": f'{VERSIONS}\n    depends_on("tiny-lib", type=("build", "link"))',
    "tiny-tool": f'{VERSIONS}\n    depends_on("c", type="build")',
    "tiny-mpich": 'version("3.0")\n    version("1.0")\n    variant("x", default=False)\n    provides("tiny-mpi")',
    "tiny-openmpi": 'version("3.0")\n    provides("tiny-mpi")',
    "tiny-user": 'version("1.0")\n    depends_on("tiny-mpi")',
    "gcc": """\
tags = ["compiler"]
    verbose_flags = "-v"
    cc, cxx, fortran = "gcc", "g++", None

    version("99")
    provides("c", "cxx")
""",
    "glibc": 'tags = ["runtime"]\n    version("2.36")\n    provides("libc")',
    "compiler-wrapper": 'tags = ["runtime"]\n    version("1.0")',
}
CONCRETIZE: Final = """
import json, runpy, sys, traceback
from spack.environment import Environment
script, folders = sys.argv[1], sys.argv[2:]
for folder in folders:
    try:
        with Environment(folder) as environment:
            environment.concretize()
            environment.write(regenerate=False)
        sys.argv = [script, folder, folder + "/answer.json", "", ""]
        runpy.run_path(script, run_name="__main__")
    except SystemExit:
        pass
    except BaseException:
        with open(folder + "/answer.json", "w") as file:
            json.dump(traceback.format_exc(), file)
"""
"""Many environments in one process, which reads recipes and solver once; each is then asked by the job's own script."""


@dataclass(frozen=True)
class TinySpack:
    """A Spack of any line with those packages."""

    program: str
    line: SpackLine
    folder: Path

    @classmethod
    def made(cls, root: str, folder: Path, packages: Mapping[str, str] | None = None) -> TinySpack:
        """Write recipes and configuration below a folder; `packages` are the bodies of further recipes by name."""
        made = cls(f"{root}/bin/spack", line_of(root), folder)
        recipes = made.recipes
        for name, body in {**PACKAGES, **(packages or {})}.items():
            package = recipes / "packages" / (name.replace("-", "_") if made.line.compilers_are_dependencies else name)
            package.mkdir(parents=True)
            words = "".join(word.capitalize() for word in name.split("-"))
            (package / "package.py").write_text(RECIPE.format(name=words, body=body))
        api = ", api: v2.0" if made.line.compilers_are_dependencies else ""
        (recipes / "repo.yaml").write_text(f"repo: {{namespace: tiny{api}}}\n")
        scope = folder / "configuration"
        scope.mkdir()
        for name, section in made._configuration().items():
            (scope / f"{name.rstrip(':')}.yaml").write_text(dump({name: section}))
        (folder / "concretize.py").write_text(CONCRETIZE)
        return made

    @property
    def root(self) -> str:
        """The folder of the Spack."""
        return str(Path(self.program).parent.parent)

    @property
    def recipes(self) -> Path:
        """The package repository."""
        return self.folder / "recipes" / "spack_repo" / "tiny"

    def folder_of(self, environment: str) -> Path:
        """Where the environment of a name is."""
        return self.folder / "environments" / environment.replace(" ", "_")

    def environment(self, name: str, section: Mapping[str, Any]) -> Path:
        """The folder of an environment, which is written."""
        folder = self.folder_of(name)
        folder.mkdir(parents=True)
        concretizer = {"reuse": False, **section.get("concretizer", {})}
        usual = {"view": False, "config": {"install_tree": {"root": str(self.folder / "software")}}}
        (folder / "spack.yaml").write_text(dump({"spack": {**usual, **section, "concretizer": concretizer}}))
        return folder

    def answers(self, sections: Mapping[str, Mapping[str, Any]], **variables: str) -> dict[str, Any]:
        """What the job's script says of each environment that this Spack concretized, or the text of what failed."""
        folders = {name: self.environment(name, section) for name, section in sections.items()}
        done = self.run("python", "concretize.py", str(SCRIPT), *map(str, folders.values()), **variables)
        assert done.returncode == 0, done.stdout
        return {name: json.loads((folder / "answer.json").read_bytes()) for name, folder in folders.items()}

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run it; what it prints, errors as well, is the standard output."""
        return subprocess.run(
            [self.program, "--config-scope", str(self.folder / "configuration"), *arguments],
            cwd=self.folder,
            env={**alone(self.folder), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def _configuration(self) -> dict[str, Any]:
        shown = subprocess.run(["gcc", "-dumpfullversion"], check=True, capture_output=True, text=True).stdout.strip()
        if self.line.compilers_are_dependencies:
            compilers = {"compilers": {"c": "/usr/bin/gcc", "cxx": "/usr/bin/g++"}}
            external = {"spec": f"gcc@{shown}", "prefix": "/usr", "extra_attributes": compilers}
            packages = {"gcc": {"buildable": False, "externals": [external]}}
            return {"repos:": {"tiny": str(self.recipes)}, "packages": packages}
        system = self.run("python", "-c", "from spack.spec import ArchSpec; print(ArchSpec.default_arch().os)")
        compiler = {
            "spec": f"gcc@={shown}",
            "paths": {"cc": "/usr/bin/gcc", "cxx": "/usr/bin/g++", "f77": None, "fc": None},
            "modules": [],
            "flags": {},
            "operating_system": system.stdout.split()[-1],
            "target": "any",
        }
        return {"repos:": [str(self.recipes)], "compilers": [{"compiler": compiler}]}
