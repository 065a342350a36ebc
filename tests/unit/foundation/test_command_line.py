"""How commands end: what they say, and with which exit code. The streams are real ones."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from foundation.command_line import shown
from foundation.doors.files import write_files
from foundation.errors import ExitCode, Fault, FileAccessError, InvalidInputError, NotReadyError, naming
from foundation.stores.folder import FileSystemStore
from tests.samples import write_repository

COMMANDS = [
    ("job_creator", "plan", "--offline"),
    ("job_creator", "plan", "--offline", "--format", "json"),
    ("job_creator", "--help"),
    ("job_creator", "mirror", "--help"),
    ("get_artifacts", "--help"),
    ("spackitor", "--version"),
]


def run(folder: Path, command: tuple[str, ...], stdout: int) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-m", *command]
    return subprocess.run(arguments, cwd=folder, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_full_disk_under_standard_output_is_said(tmp_path: Path, command: tuple[str, ...]) -> None:
    folder = write_repository(tmp_path)
    with Path("/dev/full").open("w") as full:
        done = run(folder, command, full.fileno())
    message = "error: standard output: No space left on device; make room and run this again\n"
    assert (done.returncode, done.stderr) == (ExitCode.CANNOT_ACCESS_FILE, message)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_reader_that_has_seen_enough_ends_a_command_quietly(tmp_path: Path, command: tuple[str, ...]) -> None:
    """As Unix tools end by SIGPIPE, which shells report as 141."""
    folder = write_repository(tmp_path)
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run(folder, command, writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_file_that_does_not_fit_is_named(tmp_path: Path) -> None:
    folder = write_repository(tmp_path)
    command = [sys.executable, "-m", "job_creator", "create-jobs", "--offline", "-o", "out/pipeline.yaml"]

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, preexec_fn=small_files)
    assert done.returncode == ExitCode.CANNOT_ACCESS_FILE
    assert done.stderr == "error: out/merged_spack_hdf5_amd64.yaml: File too large; make room and run this again\n"
    assert list((folder / "out").iterdir()) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_what_the_system_does_not_name_has_the_path_that_was_meant(code: int) -> None:
    with pytest.raises(FileAccessError) as caught, naming("out/x.yaml"):
        raise OSError(code, os.strerror(code))
    assert str(caught.value) == f"out/x.yaml: {os.strerror(code)}; make room and run this again"


def test_what_the_system_names_is_more_precise(tmp_path: Path) -> None:
    with pytest.raises(FileAccessError, match=f"^{tmp_path}/gone: No such file or directory$"), naming(tmp_path):
        (tmp_path / "gone").read_bytes()


def test_the_name_of_a_temporary_file_is_nobodys_business() -> None:
    """A folder where not even root may make files."""
    with pytest.raises(FileAccessError, match=r"^/proc/self/x\.yaml: "):
        write_files(Path("/proc/self"), {"x.yaml": b""})
    with pytest.raises(FileAccessError, match=r"^/proc/\d+/x\.yaml: "):
        FileSystemStore(Path("/proc/self")).write("x.yaml", b"")


def test_every_line_of_several_faults_begins_with_its_place() -> None:
    faults = [Fault("b.yaml", 2, 1, "wrong", "mend it"), Fault("a.yaml", 10, 3, "wrong")]
    assert shown(InvalidInputError(faults)) == "2 faults\na.yaml:10:3: wrong\nb.yaml:2:1: wrong; mend it"
    assert shown(InvalidInputError(faults[:1])) == "1 fault\nb.yaml:2:1: wrong; mend it"
    assert shown(NotReadyError("not yet")) == "not yet"
