"""What programs find outside of what is shipped, and whether an image has it: `libraries.py` and `runtime_check.sh`.

The programs are those of this machine; `tests/integration/test_image_libraries.py` has the images.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.samples import REPOSITORY

IMAGE_FILES = REPOSITORY / "spacktainer" / "image"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The scripts, as they lie in the builder image."""
    return Path(shutil.copytree(IMAGE_FILES, tmp_path / "files"))


def _written(files: Path, *paths: Path, of_host: Sequence[str] = ()) -> list[list[str]]:
    """The calls that the builder image writes down for what is below the paths."""
    command = [sys.executable, str(files / "libraries.py"), *of_host, "--", *map(str, paths)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return [shlex.split(line) for line in done.stdout.splitlines()]


def _checked(files: Path, *calls: list[str]) -> tuple[int, str]:
    """What the runtime image says of such calls: the exit code and the words."""
    (files / "needed.sh").write_text("".join(f"{shlex.join(call)}\n" for call in calls))
    done = subprocess.run(["/bin/sh", str(files / "runtime_check.sh")], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr + done.stdout


def _program(folder: Path) -> tuple[Path, str]:
    """A copy of a program of this machine, and a library that it needs besides the C library."""
    for name in ("git", "python3", "openssl", "perl", "tar", "ls"):
        found = shutil.which(name, path="/usr/bin:/bin")
        if not found:
            continue
        listed = subprocess.run(["ldd", found], capture_output=True, text=True, check=False).stdout
        content = Path(found).read_bytes()
        for library in re.findall(r"\t(lib(?!c\.|m\.|pthread|dl\.|rt\.|resolv)\S+) => /", listed):
            if f"\0{library}\0".encode() in content:
                (folder / "bin").mkdir(parents=True)
                (folder / "bin" / name).write_bytes(content)
                return folder / "bin" / name, library
    pytest.fail("this machine has no program that is linked with anything")


def test_a_library_that_the_image_lacks_is_named_with_who_needs_it(files: Path, tmp_path: Path) -> None:
    program, library = _program(tmp_path / "software" / "a tool")
    spec = tmp_path / "software" / "a tool" / ".spack" / "spec.json"
    spec.parent.mkdir()
    spec.write_text(json.dumps({"spec": {"nodes": [{"name": "tool", "version": "1.2"}]}}))
    calls = _written(files, tmp_path / "software")
    built, needs, *reports = calls
    assert built[0] == "built_with"
    assert re.fullmatch(r"(glibc|musl)@[\d.]+", built[2])
    assert needs[:4] == ["needs", built[1], str(program), "tool@1.2"]
    assert library in needs[4:]
    assert {report[1] for report in reports} == set(needs[4:])
    assert all(Path(report[2]).exists() for report in reports)
    assert _checked(files, *calls) == (0, "")

    # The same program in an image that does not have this library.
    gone = library[:3] + "x" * (len(library) - 3)
    program.write_bytes(program.read_bytes().replace(f"\0{library}\0".encode(), f"\0{gone}\0".encode()))
    code, said = _checked(files, *([gone if word == library else word for word in call] for call in calls))
    assert code == 1
    assert f"it lacks {gone}, which is needed by tool@1.2;" in said
    assert "container: os_packages: final:" in said
    # Which may be meant so.
    of_host = [library, "libother.*"]
    given = [call for call in _written(files, tmp_path / "software", of_host=of_host) if library in call]
    assert given == []
    # And in a builder image that does not have it either: somebody else is to bring it.
    needs = next((call for call in _written(files, tmp_path / "software") if call[0] == "needs"), [])
    assert gone not in needs
    assert library not in needs


def test_libraries_that_are_shipped_are_nobodys_to_bring(files: Path, tmp_path: Path) -> None:
    """Whether a link of a view leads to them or they lie where the program looks for them."""
    program, library = _program(tmp_path / "software")
    where = next(call[2] for call in _written(files, program.parent) if call[:2] == ["report", library])
    (tmp_path / "software" / "lib").mkdir()
    shutil.copy(where, tmp_path / "software" / "lib" / library)
    environment = {"LD_LIBRARY_PATH": str(tmp_path / "software" / "lib")}
    command = [sys.executable, str(files / "libraries.py"), "--", str(tmp_path / "software")]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    needs = [line for line in done.stdout.splitlines() if line.startswith("needs") and f"/bin/{program.name}" in line]
    assert not [line for line in needs if library in shlex.split(line)]


def test_files_of_other_kinds_are_passed_over(files: Path, tmp_path: Path) -> None:
    start = Path(sys.executable).read_bytes()[:200]
    for name, content in {"script": b"#!/bin/sh\n", "broken": start, "short": b"\x7fELF\x02\x01", "empty": b""}.items():
        (tmp_path / "software").mkdir(exist_ok=True)
        (tmp_path / "software" / name).write_bytes(content)
    (tmp_path / "software" / "loop").symlink_to("loop")
    assert _written(files, tmp_path / "software") == []
    assert _checked(files) == (0, "")


def _loader(folder: Path, name: str, said: str) -> str:
    """A loader that says of itself what a real one says; glibc's and musl's say it in different ways."""
    (folder / name).write_text(f"#!/bin/sh\ncat << 'END'\n{said}\nEND\nexit 1\n")
    (folder / name).chmod(0o755)
    return str(folder / name)


GLIBC = "GNU C Library (Debian GLIBC {0}-9+deb12u14) stable release version {0}.\nCopyright (C) 2022"


@pytest.mark.parametrize(
    ("built", "name", "said", "fault"),
    [
        ("glibc@2.36", "ld-linux.so.2", GLIBC.format("2.36"), ""),
        ("glibc@2.9", "ld-linux.so.2", GLIBC.format("2.36"), ""),
        ("glibc@2.36", "ld-linux.so.2", GLIBC.format("2.9"), "glibc@2.9"),
        ("glibc@2.39", "ld-linux.so.2", "GNU C Library (GNU libc) stable release version 2.28.", "glibc@2.28"),
        ("glibc@2.40", "ld-linux.so.2", "GNU C Library (GNU libc) development release version 2.40.9000.", ""),
        ("musl@1.2.5", "ld-musl-x86_64.so.1", "musl libc (x86_64)\nVersion 1.2.5\nUsage: ld", ""),
        ("musl@1.2.5", "ld-musl-x86_64.so.1", "musl libc (x86_64)\nVersion 1.2.3\nUsage: ld", "musl@1.2.3"),
        ("glibc@2.36", "ld-linux.so.2", "musl libc (x86_64)\nVersion 1.2.5", "musl@1.2.5"),
        # Something that stands for glibc, and does not say which: whether it can, a smoke test shows.
        ("glibc@2.36", "ld-linux.so.2", "gcompat", ""),
        ("", "ld-linux.so.2", GLIBC.format("2.36"), ""),
    ],
)
def test_the_c_library_of_the_image_has_to_be_as_new(
    built: str, name: str, said: str, fault: str, files: Path, tmp_path: Path
) -> None:
    loader = _loader(tmp_path, name, said)
    code, printed = _checked(files, ["built_with", loader, built])
    assert code == bool(fault)
    if fault:
        assert f"built with {built} of the builder image, and the runtime image has {fault};" in printed
    else:
        assert printed == ""


def test_an_image_without_the_loader_runs_nothing(files: Path) -> None:
    needs = ["needs", "/nowhere/ld-linux.so.2", "/bin/sh", "tool@1.2", "libx.so.1"]
    code, said = _checked(files, ["built_with", "/nowhere/ld-linux.so.2", "glibc@2.36"], needs)
    assert code == 1
    assert "built with glibc@2.36 of the builder image, which starts programs with /nowhere/ld-linux.so.2" in said
    assert "libx" not in said
