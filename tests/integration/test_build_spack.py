"""`jc build` with a real Spack 1.x: packages of our own are built, signed, pushed and found again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.components import require
from tests.integration.real_spack import ROOTS, alone
from tests.integration.tiny_spack import TinySpack
from tests.samples import REPOSITORY

RECIPE = """\
version("1.0")
    {needs}

    def install(self, spec, prefix):
        {first}
        with open(prefix.join("file"), "w") as file:
            file.write(f"{{self.name}} from {{prefix}}")
"""


@pytest.mark.usefixtures("components")
@pytest.mark.parametrize("root", ROOTS)
def test_a_real_spack_builds_signs_and_goes_on(root: str, tmp_path: Path) -> None:
    require("gpg")
    packages = {
        "one": RECIPE.format(needs="", first="pass"),
        "two": RECIPE.format(needs='depends_on("one", type=("build", "link"))', first="pass"),
        "broken": RECIPE.format(needs="", first='raise InstallError("no way")'),
    }
    spack = TinySpack.made(root, tmp_path, packages)
    folder = spack.environment("all", {"specs": ["two", "broken"]})
    keys = {"SPACK_GNUPGHOME": str(tmp_path / "gpg")}
    for command in (["-e", str(folder), "concretize"], ["gpg", "create", "me", "me@example.org"]):
        done = spack.run(*command, **keys)
        assert done.returncode == 0, done.stdout
    environment = {**os.environ, **alone(tmp_path), **keys, "XDG_CACHE_HOME": str(tmp_path / "xdg")}
    mirror = tmp_path / "mirror"

    def build(name: str) -> subprocess.CompletedProcess[str]:
        words = ["--mirror", str(mirror), "--spack", spack.program, "--scope", str(tmp_path / "configuration")]
        command = [sys.executable, "-m", "job_creator", "build", str(folder), *words, "-j", "2"]
        where = ["--run", str(tmp_path / name), "--scratch", str(tmp_path / "scratch"), "--least-free", "1MB"]
        return subprocess.run(
            [*command, *where], env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False
        )

    done = build("first")
    assert done.returncode == 12, done.stdout + done.stderr
    assert "2 built, 1 failed" in done.stdout
    signed = [path for path in mirror.rglob("*") if path.is_file() and b"BEGIN PGP SIGNED" in path.read_bytes()]
    assert len(signed) >= 2
    assert build("second").stdout.startswith("1 to build, 2 present, 0 external")
    subprocess.run(["gpgconf", "--kill", "all"], env={**environment, "GNUPGHOME": keys["SPACK_GNUPGHOME"]}, check=False)
