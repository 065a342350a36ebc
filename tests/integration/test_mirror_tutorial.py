"""Spack's mirror tutorial from its first step to its last, with the commands of this project and a real Spack.

`SPACKTAINERS_SPACK_ROOT` names one or several. The packages are a few lines of C of our own, whose archives are files
that are gone when it is time to build from the mirror. What is isolated runs in a name space without a network.
"""

from __future__ import annotations

import grp
import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from foundation.errors import ExitCode
from foundation.yaml_io import dump
from spackitor.__main__ import main as spackitor
from tests.integration.components import give_up, require
from tests.integration.real_spack import ROOTS, alone
from tests.integration.tiny_spack import TinySpack
from tests.samples import REPOSITORY

pytestmark = [
    pytest.mark.usefixtures("components"),
    pytest.mark.skipif(not ROOTS, reason="SPACKTAINERS_SPACK_ROOT names no Spack"),
]

PADDING: Final = 128
PROGRAM: Final = '#include <stdio.h>\nint main(void) {{ puts("{name} in " PREFIX); return 0; }}\n'
RECIPE: Final = """\
has_code = True
    url = "{url}"
    version("{version}", sha256="{sha256}")
    {depends}

    def install(self, spec, prefix):
        mkdirp(prefix.bin)
        Executable("gcc")(f'-DPREFIX="{{prefix}}"', "main.c", "-o", join_path(prefix.bin, self.name))
"""
NEEDS: Final = {"greeting": "words", "words": "", "farewell": "words"}
"""Packages, and what each depends on. The first is what the tutorial calls scr; the last comes later, as its bzip2."""


@dataclass(frozen=True)
class Tutorial:
    """The machine with internet, on which the team fills its mirror."""

    spack: TinySpack
    archives: Path
    mirror: Path

    def jc(self, *arguments: str, code: ExitCode = ExitCode.OK) -> str:
        """What `jc mirror` prints on stdout."""
        environment = {**alone(self.spack.folder), **self.ring(self.spack.folder)}
        argv = [sys.executable, "-m", "job_creator", "mirror", *arguments]
        done = subprocess.run(argv, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def create(self, *arguments: str, scopes: tuple[Path, ...] = ()) -> dict[str, object]:
        """Fill the mirror with what the environment needs; what was done."""
        lock = str(self.environment / "spack.lock")
        own = ("--spack", self.program, "--cache-dir", str(self.spack.folder / "answers"), "--json")
        wanted = [word for scope in scopes for word in ("--scope", str(scope))]
        found: dict[str, object] = json.loads(
            self.jc("create", lock, "--to", str(self.mirror), *own, *wanted, *arguments)
        )
        return found

    @property
    def program(self) -> str:
        """Spack with the tutorial's packages alone: a new one would look through all others for compilers first."""
        return str(self.spack.folder / "spack")

    @property
    def environment(self) -> Path:
        """Its folder."""
        return self.spack.folder_of("team")

    def concretize(self, *specs: str) -> None:
        """Write the environment and its lockfile anew."""
        section = {"specs": list(specs), "view": False, "concretizer": {"reuse": False}}
        self.environment.mkdir(parents=True, exist_ok=True)
        (self.environment / "spack.yaml").write_text(dump({"spack": section}))
        self.run("-e", str(self.environment), "concretize", "--force")

    def run(
        self,
        *arguments: str,
        scopes: tuple[Path, ...] = (),
        home: Path | None = None,
        isolated: bool = False,
        ok: bool = True,
    ) -> str:
        """What Spack prints, as somebody whose home this is."""
        where = home or self.spack.folder
        argv = [self.program]
        for scope in scopes:
            argv += ["--config-scope", str(scope)]
        isolation = [require("unshare"), "--map-root-user", "--net"] if isolated else []
        done = subprocess.run(
            [*isolation, *argv, *arguments],
            env={**alone(where), **self.ring(where)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) == ok, done.stdout + done.stderr
        return done.stdout + done.stderr

    @staticmethod
    def ring(home: Path) -> dict[str, str]:
        """The keys of somebody."""
        return {"SPACK_GNUPGHOME": str(home / "gpg")}

    def scope(self, name: str, **sections: object) -> Path:
        """A folder with configuration."""
        folder = self.spack.folder / name
        folder.mkdir()
        for section, value in sections.items():
            (folder / f"{section}.yaml").write_text(dump({section: value}))
        return folder

    def hashes(self) -> dict[str, str]:
        """The DAG hashes of the environment's own packages."""
        nodes = json.loads((self.environment / "spack.lock").read_text())["concrete_specs"]
        return {node["name"]: hash_ for hash_, node in nodes.items() if node["name"] in NEEDS}


def archive(folder: Path, name: str) -> str:
    """The archive of a package; its checksum."""
    path = folder / f"{name}-1.0.tar.gz"
    content = PROGRAM.format(name=name).encode()
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo(f"{name}-1.0/main.c")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(name="tutorial", params=ROOTS)
def tutorial_fixture(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tutorial]:
    for program in ("gcc", "unshare", "gpg", "patchelf"):
        require(program)
    archives = tmp_path / "internet"
    archives.mkdir()
    packages = {}
    for name, need in NEEDS.items():
        sha256 = archive(archives, name)
        url = (archives / f"{name}-1.0.tar.gz").as_uri()
        depends = f'depends_on("{need}")' if need else ""
        packages[name] = RECIPE.format(url=url, version="1.0", sha256=sha256, depends=depends)
    (tmp_path / "site").mkdir()
    made = TinySpack.made(request.param, tmp_path / "site", packages)
    if not made.line.compilers_are_dependencies:
        give_up("this Spack has no compilers among its packages")
    script = f'#!/bin/sh\nexec {made.program} --config-scope {made.folder}/configuration "$@"\n'
    (made.folder / "spack").write_text(script)
    (made.folder / "spack").chmod(0o755)
    yield Tutorial(made, archives, tmp_path / "mirror")
    for ring in tmp_path.rglob("gpg"):  # otherwise GnuPG's agents would outlive the tests
        subprocess.run(["gpgconf", "--homedir", str(ring), "--kill", "all"], check=False)


def runs(tree: Path, name: str) -> None:
    """The program of a package knows where it is."""
    (program,) = (path for path in tree.rglob(f"bin/{name}") if path.is_file())
    what, _, place = subprocess.run([program], capture_output=True, text=True, check=True).stdout.partition(" in ")
    # What is shorter than the padding is filled up with slashes.
    assert (what, f"/{place.strip().lstrip('/')}") == (name, str(program.parent.parent))


def require_shared(mirror: Path, group: int) -> None:
    """The group reads and writes everything."""
    for path in (mirror, *mirror.rglob("*")):
        status = path.lstat()
        assert status.st_gid == group, path
        if not path.is_symlink():
            assert status.st_mode & stat.S_IRGRP, path
            assert status.st_mode & stat.S_IWGRP, path


def archives_in(mirror: Path) -> set[str]:
    """The packages whose sources are there, by the names that people read."""
    return {path.parent.name for path in mirror.rglob("*-1.0.tar.gz") if path.parent.name in NEEDS}


def test_from_an_environment_to_users_without_internet(tutorial: Tutorial, tmp_path: Path) -> None:
    carried = sources(tutorial, tmp_path)
    build_from_sources(tutorial, tmp_path, carried)
    fingerprint = binaries(tutorial, tmp_path)
    install_binaries(tutorial, tmp_path, fingerprint)
    tidy(tutorial)


def sources(tutorial: Tutorial, folder: Path) -> Path:
    """Setting up a source mirror, sharing it with the group, adding to it, and carrying it to the isolated system."""
    group = grp.getgrgid(os.getgid()).gr_name
    tutorial.concretize("greeting")
    tutorial.create("--group", group)
    assert archives_in(tutorial.mirror) == {"greeting", "words"}
    require_shared(tutorial.mirror, os.getgid())
    before = {path: path.stat().st_mtime_ns for path in tutorial.mirror.rglob("*.tar.gz")}

    tutorial.concretize("greeting", "farewell")
    tutorial.create("--group", group)
    assert archives_in(tutorial.mirror) == set(NEEDS)
    assert before == {path: path.stat().st_mtime_ns for path in before}, "what is there is not fetched again"
    require_shared(tutorial.mirror, os.getgid())
    tutorial.jc("verify", str(tutorial.mirror), "--deep", "-e", str(tutorial.environment / "spack.lock"))

    carried = folder / "isolated"
    tutorial.jc("export", str(tutorial.mirror), "-o", str(folder / "stick"), "--unsigned")
    tutorial.jc("import", str(folder / "stick"), "--to", str(carried), "--unsigned")
    return carried


def build_from_sources(tutorial: Tutorial, folder: Path, mirror: Path) -> None:
    """On the isolated system, nothing but the mirror has the sources."""
    tutorial.archives.rename(folder / "internet is gone")
    users = folder / "builder"
    settings = tutorial.scope(
        "builder",
        config={
            "install_tree": {"root": str(users / "tree")},
            "source_cache": str(users / "sources"),
            "build_stage": [str(users / "stage")],
        },
    )
    install = ("-e", str(tutorial.environment), "install", "--no-cache")
    refused = tutorial.run(*install, scopes=(settings,), home=users, isolated=True, ok=False)
    assert "1.0.tar.gz" in refused
    tutorial.jc("config", str(mirror), "-o", str(users / "mirror"), "--spack-line", str(tutorial.spack.line))
    tutorial.run(*install, scopes=(settings, users / "mirror"), home=users, isolated=True)
    for name in NEEDS:
        runs(users / "tree", name)


def binaries(tutorial: Tutorial, folder: Path) -> str:
    """Setting up a binary cache beside the sources: a padded tree, a key with a backup, signed packages."""
    padded = tutorial.scope(
        "padded",
        config={
            "install_tree": {"root": str(folder / "padded"), "padded_length": PADDING},
            "source_cache": str(folder / "fetched"),
            "build_stage": [str(folder / "stage")],
        },
    )
    sources_of = tutorial.scope("sources", mirrors={"team": {"url": tutorial.mirror.as_uri(), "binary": False}})
    tutorial.run("-e", str(tutorial.environment), "install", "--no-cache", scopes=(padded, sources_of))
    backup = folder / "backup.asc"
    made = ("keys", "create", "Team", "team@example.org", "--backup", str(backup), "--spack", tutorial.program)
    fingerprint = tutorial.jc(*made).strip()
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    group = grp.getgrgid(os.getgid()).gr_name
    tutorial.create("--binaries", "--group", group, scopes=(padded, sources_of))
    require_shared(tutorial.mirror, os.getgid())
    found = json.loads(
        tutorial.jc("verify", str(tutorial.mirror), "--deep", "--signed", "--fingerprint", fingerprint, "--json")
    )
    assert (found["complete"], found["signers"]) == (True, [fingerprint])
    assert {one["name"] for one in json.loads(tidied("list", str(tutorial.mirror), "--json"))} == set(NEEDS)
    return fingerprint


def install_binaries(tutorial: Tutorial, folder: Path, fingerprint: str) -> None:
    """Users trust the one key that they were told of, and install into a shorter path without a compiler."""
    home = folder / "u"
    home.mkdir()
    settings = tutorial.scope("user", config={"install_tree": {"root": str(home / "t")}})
    tutorial.jc("config", str(tutorial.mirror), "-o", str(home / "mirror"), "--root", str(home / "t"))
    scopes = (settings, home / "mirror")
    install = ("-e", str(tutorial.environment), "install", "--use-buildcache=only")
    assert "No binary found" in tutorial.run(*install, scopes=scopes, home=home, isolated=True, ok=False)
    shown = subprocess.run(
        [
            *(sys.executable, "-m", "job_creator", "mirror", "trust", str(tutorial.mirror)),
            *("--fingerprint", fingerprint, "--spack", tutorial.program),
        ],
        env={**alone(home), **tutorial.ring(home)},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    tutorial.run(*install, scopes=scopes, home=home, isolated=True)
    for name in NEEDS:
        runs(home / "t", name)
    assert b"__spack_path_placeholder__" not in next((home / "t").rglob("bin/greeting")).read_bytes()


def tidied(*arguments: str) -> str:
    """What `spackitor` prints."""
    done = CliRunner().invoke(spackitor, ["-q", *arguments])
    assert done.exit_code == ExitCode.OK, done.output
    return done.stdout


def tidy(tutorial: Tutorial) -> None:
    """What the tutorial leaves out: what the team no longer needs goes, binaries and sources, and comes back."""
    mirror = str(tutorial.mirror)
    everything = json.loads(tidied("list", mirror, "--json"))
    tutorial.concretize("greeting")
    lock = ("-e", str(tutorial.environment / "spack.lock"))
    now = ("--min-age", "0", "--max-age", "0", "--max-delete", "100")
    tidied("clean", mirror, *lock, *now)
    assert {one["name"] for one in json.loads(tidied("list", mirror, "--json"))} == {"greeting", "words"}
    tidied("clean", "--sources", mirror, *lock, *now)
    assert archives_in(tutorial.mirror) == {"greeting", "words"}
    for _ in range(2):
        tidied("restore", mirror)
    assert archives_in(tutorial.mirror) == set(NEEDS)
    assert [one["hash"] for one in json.loads(tidied("list", mirror, "--json"))] == [one["hash"] for one in everything]
