"""`jc splices verify` with real Spacks: what was predicted of libraries and their user is what becomes of them."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner

from job_creator.__main__ import main
from tests.integration.components import require
from tests.integration.real_spack import ROOTS, alone
from tests.integration.tiny_spack import TinySpack
from tests.integration.toy_environment import line_of

pytestmark = [
    pytest.mark.usefixtures("components"),
    pytest.mark.skipif(not ROOTS, reason="SPACKTAINERS_SPACK_ROOT names no Spack"),
]

_GREET: Final = """\
version("2.1")
    version("2.0")
    version("1.1")
    version("1.0")

    def install(self, spec, prefix):
        parts = ["const char *greet(void) { return \\"hello\\"; }"]
        if not spec.satisfies("@2.0"):
            parts.append("const char *greet_old(void) { return \\"hi\\"; }")
        if spec.satisfies("@1.1"):
            parts.append("int more(void) { return 1; }")
        kind = "long" if spec.satisfies("@2:") else "int"
        parts.append("struct numbers { %s first, second; };" % kind)
        parts.append("int sum(struct numbers *n) { return n->first + n->second; }")
        mkdirp(prefix.lib)
        with open("greet.c", "w") as file:
            file.write("\\n".join(parts) + "\\n")
        options = ["-g", "-shared", "-fPIC", "-Wl,-soname,libgreet.so.1"]
        Executable("/usr/bin/gcc")(*options, "-o", prefix.lib.join("libgreet.so.1"), "greet.c")
"""
_GREETER: Final = """\
version("1.0")
    depends_on("tiny-greet", type=("build", "link"))

    def install(self, spec, prefix):
        greet = spec["tiny-greet"].prefix.lib
        mkdirp(prefix.bin)
        with open("greeter.c", "w") as file:
            file.write(
                "struct numbers { int first, second; };\\n"
                "const char *greet(void), *greet_old(void);\\n"
                "int sum(struct numbers *n);\\n"
                "int main(void) { int room[8] = {1, 2};\\n"
                "  return !greet() || !greet_old() || sum((struct numbers *)room) != 3; }\\n"
            )
        rpath = "-Wl,--disable-new-dtags,-rpath," + greet
        library = greet.join("libgreet.so.1")
        Executable("/usr/bin/gcc")("-g", "-o", prefix.bin.greeter, "greeter.c", library, rpath)
"""


@dataclass(frozen=True)
class Greetings:
    """A Spack, and the cache that it filled."""

    spack: TinySpack
    cache: Path

    def verify(self, folder: Path, *more: str) -> dict[str, Any]:
        """What `jc splices verify` says."""
        asked = ["--mirror", str(self.cache), "--of", "tiny-greeter", "--with", "tiny-greet", "-d", str(folder)]
        asked += ["--spack", self.spack.program, "--scope", str(self.spack.folder / "configuration")]
        environment = {**alone(self.spack.folder), "TMPDIR": os.environ["TMPDIR"]}
        done = CliRunner(env={**dict.fromkeys(os.environ), **environment}).invoke(
            main, ["-q", "splices", "verify", *asked, "--no-check-signature", "--json", *more], catch_exceptions=False
        )
        assert done.exit_code == 0, done.output
        value = json.loads(done.stdout)
        assert isinstance(value, dict)
        return value


@pytest.fixture(
    scope="module", params=[root for root in ROOTS if line_of(root).compilers_are_dependencies], name="greetings"
)
def greetings_fixture(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Greetings:
    require("gcc")
    folder = tmp_path_factory.mktemp("spack")
    packages = {"tiny-greet": _GREET, "tiny-greeter": _GREETER}
    spack = TinySpack.made(request.param, folder, packages)
    specs = ["tiny-greeter ^tiny-greet@1.0", *(f"tiny-greet@{version}" for version in ("1.1", "2.0", "2.1"))]
    environment = spack.environment("all", {"specs": specs, "concretizer": {"unify": False}})
    for command in (
        ("concretize",),
        ("install", "--no-cache", "--no-check-signature"),
        ("buildcache", "push", "--unsigned", str(folder / "cache")),
    ):
        done = spack.run("-e", str(environment), *command)
        assert done.returncode == 0, done.stdout
    # A splice is to be made without what it was built of.
    shutil.rmtree(folder / "software")
    return Greetings(spack, folder / "cache")


def by_version(value: dict[str, Any]) -> dict[str, tuple[int, str]]:
    found = ((one["prediction"], one["actual"]) for one in value["outcomes"])
    return {one["replacement"]["version"]: (one["verdict"], actual) for one, actual in found}


def test_splices_do_what_was_predicted(greetings: Greetings, tmp_path: Path) -> None:
    require("abidiff")
    value = greetings.verify(tmp_path / "kept")
    expected = {"1.1": (1, "works"), "2.0": (-1, "fails"), "2.1": (-1, "fails")}
    assert by_version(value) == expected, value
    assert all(one["agrees"] for one in value["outcomes"])
    (lacking,) = (one for one in value["outcomes"] if one["prediction"]["replacement"]["version"] == "2.0")
    assert any("greet_old" in line for line in lacking["evidence"])
    assert [one["directive"] for one in value["proposals"]] == ['can_splice("tiny-greet@=1.0", when="@=1.1")']

    # With symbols alone, the changed struct is not seen: what symbols say is not all, and the table shows it.
    value = greetings.verify(tmp_path / "symbols", "--symbols-only")
    assert by_version(value) == {**expected, "2.1": (1, "fails")}
    (wrong,) = (one for one in value["outcomes"] if not one["agrees"])
    assert wrong["prediction"]["confidence"] == "symbols"
    assert not (greetings.spack.folder / "software").exists()


def test_what_was_tried_is_not_tried_again(
    greetings: Greetings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = greetings.verify(tmp_path / "kept", "--sample", "1")
    assert len(first["outcomes"]) == 1

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("job_creator.studies.splices.verification.running.splicing", never)
    assert greetings.verify(tmp_path / "kept", "--sample", "1") == first
