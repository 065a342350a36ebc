"""`jc splices` over caches in all layouts and places, with debug information and without, whole, damaged and killed."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from foundation.errors import ExitCode
from foundation.stores.s3_client import s3_client
from job_creator.__main__ import main
from tests.integration.components import require
from tests.integration.recorded_cache import RegistryCache
from tests.integration.registry_server import run_registry
from tests.integration.s3_server import new_bucket
from tests.integration.workshop import Workshop
from tests.packed_cache import Package, fill
from tests.samples import REPOSITORY

pytestmark = pytest.mark.usefixtures("components")

HELLO = 'const char *greet(void) { return "hello"; }\n'
OLD = 'const char *greet_old(void) { return "hi"; }\n'
SUM = "struct numbers { %s first, second; };\nint sum(struct numbers *n) { return n->first + n->second; }\n"
USE = """\
struct numbers { int first, second; };
const char *greet(void), *greet_old(void);
int sum(struct numbers *n);
int main(void) { struct numbers n = {1, 2}; return !greet() || !greet_old() || sum(&n) != 3; }
"""


class Greeters:
    """libgreet 1.0, 1.1 (adds a function), 2.0 (takes one away) and 2.1 (changes a struct alone), and who uses 1.0."""

    def __init__(self, root: Path, *options: str) -> None:
        root.mkdir()
        self.workshop = Workshop(root)
        sources = {
            "1.0": HELLO + OLD + SUM % "int",
            "1.1": HELLO + OLD + SUM % "int" + "int more(void) { return 1; }\n",
            "2.0": HELLO + SUM % "long",
            "2.1": HELLO + OLD + SUM % "long",
        }
        self.libraries = {version: self.workshop.package("greet", version) for version in sources}
        for version, source in sources.items():
            self.workshop.library(self.libraries[version], source, *options)
        self.greeter = self.workshop.package("greeter", "1.0", self.libraries["1.0"])
        self.workshop.program(self.greeter, USE, *options, needs=["greet"])

    @property
    def packages(self) -> list[Package]:
        return self.workshop.made

    def strip(self) -> None:
        for path in self.workshop.root.rglob("*"):
            if path.is_file() and not path.is_symlink() and path.parent.name in ("bin", "lib"):
                subprocess.run([require("strip"), str(path)], check=True)


@pytest.fixture(scope="module", name="greeters")
def greeters_fixture(tmp_path_factory: pytest.TempPathFactory) -> Greeters:
    return Greeters(tmp_path_factory.mktemp("greeters") / "built")


def run(*arguments: str, program: str = "predict") -> Result:
    asked = ("-q", "splices", program, *arguments)
    return CliRunner().invoke(main, asked, catch_exceptions=False)


def predicted(mirror: object, folder: Path, *more: str) -> dict[str, str]:
    """The verdicts by version of the replacement, as people see them."""
    done = run("--mirror", str(mirror), "--of", "greeter", "--with", "greet", "-d", str(folder), "--json", *more)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert {one["replaced"]["version"] for one in found} == {"1.0"}
    return {one["replacement"]["version"]: shown(one) for one in found}


def shown(value: dict[str, Any]) -> str:
    missing = "".join(f" {one['what']}" for one in value["missing"] if one["kind"] != "type")
    return f"{value['verdict']} {value['confidence']}{missing}"


SYMBOLS = {"1.1": "1 symbols", "2.0": "-1 symbols greet_old", "2.1": "1 symbols"}
"""What is known without debug information."""


@pytest.fixture(name="v2")
def v2_fixture(greeters: Greeters, tmp_path: Path) -> str:
    return str(fill(tmp_path / "cache", greeters.packages, "v2"))


@pytest.fixture(name="v3")
def v3_fixture(greeters: Greeters, tmp_path: Path) -> str:
    return fill(tmp_path / "cache", greeters.packages).as_uri()


@pytest.fixture(name="bucket")
def bucket_fixture(greeters: Greeters, tmp_path: Path, s3_url: str, s3_environment: str) -> str:
    name = new_bucket(s3_client(s3_url))
    for path in sorted(fill(tmp_path / "cache", greeters.packages).rglob("*")):
        if path.is_file():
            key = f"amd64/{path.relative_to(tmp_path / 'cache').as_posix()}"
            s3_client(s3_url).put_object(Bucket=name, Key=key, Body=path.read_bytes())
    return f"s3://{name}/amd64"


@pytest.fixture(name="registry")
def registry_fixture(greeters: Greeters, tmp_path: Path) -> Iterator[str]:
    with run_registry(tmp_path) as registry:
        cache = RegistryCache(registry, "site/cache")
        for package in greeters.packages:
            archive = package.archive()
            checksum = {"hash_algorithm": "sha256", "hash": hashlib.sha256(archive).hexdigest()}
            config = {**package.spec_file(), "binary_cache_checksum": checksum, "architecture": "amd64"}
            cache.put(f"{package.name}-{package.version}-{package.hash}.spack", json.dumps(config).encode(), archive)
        yield cache.url
        cache.close()


@pytest.mark.parametrize("place", ["v2", "v3", "bucket", "registry"])
def test_all_layouts_say_the_same(
    place: str, request: pytest.FixtureRequest, tmp_path: Path, s3_url: str, s3_environment: str
) -> None:
    more = ("--endpoint-url", s3_url) if place == "bucket" else ()
    assert predicted(request.getfixturevalue(place), tmp_path / "kept", "--symbols-only", *more) == SYMBOLS


def test_with_debug_information_types_are_compared_as_well(tmp_path: Path) -> None:
    require("abidiff")
    greeters = Greeters(tmp_path / "built", "-g")
    expected = {"1.1": "1 types", "2.0": "-1 symbols greet_old", "2.1": "-1 types"}
    assert predicted(fill(tmp_path / "debug", greeters.packages), tmp_path / "kept") == expected
    greeters.strip()
    assert predicted(fill(tmp_path / "stripped", greeters.packages), tmp_path / "kept") == SYMBOLS


def test_what_a_program_only_passes_on_may_change(tmp_path: Path) -> None:
    """A struct that is declared, and not defined, in the program: its layout is nothing to it."""
    require("abidiff")
    workshop = Workshop(tmp_path / "built")
    workshop.root.mkdir()
    source = "struct secret { %s value; };\nstatic struct secret one;\nstruct secret *get(void) { return &one; }\n"
    old, new = workshop.package("greet", "1.0"), workshop.package("greet", "2.0")
    workshop.library(old, source % "int", "-g")
    workshop.library(new, source % "long", "-g")
    use = "struct secret;\nstruct secret *get(void);\nint main(void) { return get() == 0; }\n"
    for name, option in (("greeter", "-g"), ("silent", "-g0")):
        workshop.program(workshop.package(name, "1.0", old), use, option, needs=["greet"])
    cache = fill(tmp_path / "cache", workshop.made)
    assert predicted(cache, tmp_path / "kept") == {"2.0": "1 types"}
    done = run("--mirror", str(cache), "--of", "silent", "--with", "greet", "-d", str(tmp_path / "kept"), "--json")
    (found,) = json.loads(done.stdout)
    assert (found["verdict"], found["confidence"]) == (0, None)
    assert "does not show what it knows" in found["reason"]


def archive_of(cache: Path, package: Package) -> Path:
    (key,) = cache.glob(f"v3/manifests/spec/{package.name}/*{package.hash}*")
    checksum = str(json.loads(key.read_text())["data"][0]["checksum"])
    return cache / "blobs" / "sha256" / checksum[:2] / checksum


@pytest.mark.parametrize("how", ["flipped", "cut off", "gone", "no package"])
def test_an_archive_that_cannot_be_read_is_no_verdict(how: str, greeters: Greeters, tmp_path: Path) -> None:
    cache = fill(tmp_path / "cache", greeters.packages)
    path = archive_of(cache, greeters.libraries["2.0"])
    data = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        flipped = data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]
        path.write_bytes({"flipped": flipped, "cut off": data[:200], "no package": b"nothing"}[how])
    found = predicted(cache, tmp_path / "kept", "--symbols-only")
    assert found == {**SYMBOLS, "2.0": "0 None"}
    path.write_bytes(data)
    assert predicted(cache, tmp_path / "kept", "--symbols-only") == SYMBOLS


def test_a_library_that_is_not_in_the_cache_is_no_verdict(greeters: Greeters, tmp_path: Path) -> None:
    cache = fill(tmp_path / "cache", [one for one in greeters.packages if one != greeters.libraries["1.0"]])
    assert set(predicted(cache, tmp_path / "kept", "--symbols-only").values()) == {"0 None"}


def test_for_another_system_nothing_new_may_be_needed_of_it(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path / "built")
    workshop.root.mkdir()
    old = workshop.package("greet", "1.0")
    workshop.library(old, HELLO)
    for version, more in (("1.1", ""), ("1.2", "double sqrt(double);\ndouble root(double x) { return sqrt(x); }\n")):
        new = workshop.package("greet", version, system="ubuntu24.04")
        workshop.library(new, HELLO + more, *(["-Wl,--no-as-needed", "-lm"] if more else []))
    program = workshop.package("greeter", "1.0", old)
    workshop.program(program, "int greet(void);\nint main(void) { return !greet(); }\n", needs=["greet"])
    found = predicted(fill(tmp_path / "cache", workshop.made), tmp_path / "kept", "--symbols-only")
    assert found == {"1.1": "1 symbols", "1.2": "0 None"}


def test_a_transitive_splice_brings_its_own_dependencies(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path / "built")
    workshop.root.mkdir()
    base = {version: workshop.package("base", version) for version in ("1.0", "2.0")}
    workshop.library(base["1.0"], "int base(void) { return 0; }\nint gone(void) { return 0; }\n")
    workshop.library(base["2.0"], "int base(void) { return 0; }\nint more(void) { return 0; }\n")
    old = workshop.package("greet", "1.0", base["1.0"])
    workshop.library(old, "int base(void);\nint greet(void) { return base() + 1; }\n", needs=["base"])
    new = workshop.package("greet", "2.0", base["2.0"])
    workshop.library(new, "int more(void);\nint greet(void) { return more() + 1; }\n", needs=["base"])
    greeter = workshop.package("greeter", "1.0", old, base["1.0"])
    use = "int greet(void), gone(void);\nint main(void) { return !greet() + gone(); }\n"
    workshop.program(greeter, use, needs=["greet", "base"])
    cache = fill(tmp_path / "cache", workshop.made)
    assert predicted(cache, tmp_path / "kept", "--symbols-only") == {"2.0": "-1 symbols more"}
    assert predicted(cache, tmp_path / "kept", "--symbols-only", "--transitive") == {"2.0": "-1 symbols gone"}


def test_plan_reads_no_archive_and_says_what_it_leaves_out(greeters: Greeters, tmp_path: Path) -> None:
    workshop = Workshop(tmp_path / "built")
    workshop.root.mkdir()
    cache = fill(tmp_path / "cache", [*greeters.packages, workshop.package("greeter", "0.9")])
    for package in greeters.packages:
        archive_of(cache, package).unlink()
    done = run("--mirror", str(cache), "--of", "greeter", "--with", "greet", "--json", program="plan")
    value = json.loads(done.stdout)
    assert [one["replacement"] for one in value["splices"]] == [
        greeters.libraries[version].hash for version in ("1.1", "2.0", "2.1")
    ]
    (reason,) = value["left_out"]
    assert reason.endswith("neither links nor runs greet")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--of", "greeter", "--with", "none"), ExitCode.NOT_THERE, "no binary of none"),
        (("--of", "greeter", "--with", "greet="), ExitCode.USAGE, "names no dependency"),
    ],
)
def test_what_cannot_be_asked_is_told(
    arguments: tuple[str, ...], code: ExitCode, said: str, greeters: Greeters, tmp_path: Path
) -> None:
    cache = fill(tmp_path / "cache", greeters.packages)
    done = run("--mirror", str(cache), "-d", str(tmp_path / "kept"), *arguments)
    assert done.exit_code == code
    assert said in done.output


def test_without_the_extra_the_command_names_it(tmp_path: Path, greeters: Greeters) -> None:
    cache = fill(tmp_path / "cache", greeters.packages)
    hidden = "import sys\nfor name in ('elftools', 'PIL', 'reportlab'): sys.modules[name] = None\n"
    hidden += "import importlib.util as u\nfind = u.find_spec\n"
    hidden += "u.find_spec = lambda name, *more: None if sys.modules.get(name, 1) is None else find(name, *more)\n"
    command = f"{hidden}from job_creator.__main__ import main\nmain()"
    asked = ["splices", "facts", "--mirror", str(cache), "--of", "greeter", "--with", "greet"]
    done = subprocess.run(
        [sys.executable, "-c", command, *asked], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == ExitCode.NOT_READY
    assert "pip install 'spacktainers[splices]'" in done.stderr


@pytest.mark.parametrize("command", ["facts", "predict"])
def test_whoever_is_killed_has_lost_nothing(command: str, tmp_path: Path) -> None:
    """After ever more time, until it comes to its end by itself; what is there then is what a whole run leaves."""
    workshop = Workshop(tmp_path / "built")
    workshop.root.mkdir()
    libraries = [workshop.package("greet", f"1.{number}") for number in range(12)]
    workshop.library(libraries[0], HELLO)
    file = libraries[0].prefix / "lib" / "libgreet.so.1"
    for one in libraries[1:]:
        shutil.copy(file, one.prefix / "lib")
    for number in range(4):
        greeter = workshop.package("greeter", f"1.{number}", libraries[0])
        workshop.program(greeter, "int greet(void);\nint main(void) { return !greet(); }\n", needs=["greet"])
    cache, folder = fill(tmp_path / "cache", workshop.made), tmp_path / "kept"
    more = ["--symbols-only"] if command == "predict" else []
    asked = ["--mirror", str(cache), "--of", "greeter", "--with", "greet", "-d", str(folder), *more]
    program = [sys.executable, "-m", "job_creator", "-q", "splices", command, *asked]
    seen = 0
    for wait in (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5):
        with subprocess.Popen(program, cwd=REPOSITORY, stdout=subprocess.DEVNULL) as process:
            began = time.monotonic()
            kept = folder / "facts" / "binaries"
            # What begins with a dot is not whole yet.
            while process.poll() is None and len(list(kept.glob("[!.]*"))) <= seen:
                time.sleep(0.005)
                assert time.monotonic() - began < 60
            time.sleep(wait)
            process.kill()
        seen = len(list(kept.glob("[!.]*")))
    assert seen
    done = run(*asked, "--json", program=command)
    assert done.exit_code == 0
    whole = run(*asked, "-d", str(tmp_path / "whole"), "--json", program=command)
    value = json.loads(done.stdout), json.loads(whole.stdout)
    if command == "predict":
        assert value[0] == value[1]
        assert (folder / "predictions.jsonl").read_bytes() == (tmp_path / "whole" / "predictions.jsonl").read_bytes()
    else:
        assert value[0]["binaries"] == value[1]["binaries"]


def test_what_was_said_is_not_said_again(greeters: Greeters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = fill(tmp_path / "cache", greeters.packages)
    first = predicted(cache, tmp_path / "kept", "--symbols-only")

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("job_creator.studies.splices.prediction.comparison.Comparer.compare", never)
    monkeypatch.setattr("job_creator.studies.splices.facts.collection.read_archive", never)
    assert predicted(cache, tmp_path / "kept", "--symbols-only") == first
