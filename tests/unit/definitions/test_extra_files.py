"""Files that go into containers: what `files:` and `%files` name, and what is refused of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from foundation.doors.files import list_files
from foundation.errors import FileAccessError, InvalidInputError
from foundation.fingerprints import files_fingerprint
from job_creator.definitions.definitions import Definition, read_definitions
from job_creator.definitions.extra_files import ExtraFile

SECRET = "the token of a job"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a secret where git has one, and files below `spacktainer/`."""
    root = tmp_path / "checkout"
    (root / "container_definitions" / "amd64").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text(SECRET)
    folder = root / "spacktainer" / "files" / "app"
    (folder / "inner").mkdir(parents=True)
    (folder / "run.sh").write_text("true\n")
    (folder / "inner" / "data").write_text("1")
    return root


def defined(root: Path, source: str) -> Definition:
    text = f"spack:\n  specs: [zlib]\nspacktainer:\n  files:\n    - {source}:/opt/x\n"
    (root / "container_definitions" / "amd64" / "a.yaml").write_text(text)
    (found,) = read_definitions(root, ["amd64"])
    return found


def wrapped(root: Path, lines: str, section: str = "%files") -> Definition:
    text = f"Bootstrap: docker\nFrom: x\n%arguments\n  WHERE=files/app\n{section}\n{lines}\n"
    (root / "container_definitions" / "amd64" / "a.def").write_text(text)
    (found,) = read_definitions(root, ["amd64"])
    return found


def place(root: Path, source: str) -> str:
    with pytest.raises(InvalidInputError) as caught:
        defined(root, source)
    (fault,) = caught.value.faults
    assert str(fault).startswith("container_definitions/amd64/a.yaml:5:7: ")
    (root / "container_definitions" / "amd64" / "a.yaml").unlink()
    with pytest.raises(InvalidInputError) as caught:
        wrapped(root, f"  spacktainer/{source} /opt/x")
    (same,) = caught.value.faults
    assert (same.line, same.column, same.message) == (6, 3, fault.message)
    return fault.message


LEADS_OUT = {
    "a link out of the folder": ("files/app/link", "../../../.git/config", "files/app/link"),
    "a link within a folder": ("files/app/inner/link", "../../../../.git/config", "files/app"),
    "an absolute link": ("files/app/inner/link", "/etc/passwd", "files/app"),
    "a link to a folder": ("files/app/link", "../../../.git", "files/app"),
    "a source behind a link": ("files/link", "../../.git", "files/link/config"),
    "a link to the folder above": ("files/app/link", "..", "files/app"),
    "a link to nothing": ("files/app/link", "nothing", "files/app"),
    "a link to a link out": ("files/app/inner/z", "../link", "files/app"),
    "a link in a circle": ("files/app/link", "link", "files/app"),
    "a circle": ("files/app/link", "link", "files/app/link"),
}


@pytest.mark.parametrize("case", LEADS_OUT)
def test_links_that_lead_out_of_what_is_copied_are_refused(checkout: Path, case: str) -> None:
    link, target, source = LEADS_OUT[case]
    (checkout / "spacktainer" / link).symlink_to(target)
    if case == "a link to a link out":
        (checkout / "spacktainer" / "files" / "app" / "link").symlink_to("inner/../../../../.git")
        with pytest.raises(InvalidInputError) as caught:
            defined(checkout, source)
        assert len(caught.value.faults) == 2
        return
    message = place(checkout, source)
    assert "link" in message or "leads to" in message


@pytest.mark.parametrize("target", [".git", "elsewhere"])
def test_the_folder_of_all_files_is_no_link_itself(checkout: Path, target: str) -> None:
    """`spacktainer -> .git` brought `.git/config` into a layer."""
    (checkout / "spacktainer").rename(checkout / "elsewhere")
    (checkout / "elsewhere" / "config").write_text("x")
    (checkout / "spacktainer").symlink_to(target)
    assert "is a link, or lies behind one" in place(checkout, "config")


def test_links_among_what_is_copied_are_taken(checkout: Path) -> None:
    folder = checkout / "spacktainer" / "files" / "app"
    (folder / "inner" / "link").symlink_to("../run.sh")
    (folder / "folder").symlink_to("inner")
    defined(checkout, "files/app")
    (checkout / "container_definitions" / "amd64" / "a.yaml").unlink()
    wrapped(checkout, "spacktainer/files/app /opt/x")


def test_what_is_no_file_is_refused(checkout: Path) -> None:
    pipe = checkout / "spacktainer" / "files" / "app" / "pipe"
    os.mkfifo(pipe)
    assert place(checkout, "files/app") == "spacktainer/files/app/pipe is neither a file nor a folder"
    with pytest.raises(FileAccessError, match="neither a file nor a folder"):
        list_files(pipe.parent)


def test_files_of_sections_are_found(checkout: Path) -> None:
    lines = "  # one\n  spacktainer/files/app/run.sh /opt/run\n\n  spacktainer/./{{ WHERE }}/inner"
    found = wrapped(checkout, lines)
    expected = (
        ExtraFile("files/app/run.sh", "/opt/run"),
        ExtraFile("files/app/inner", "spacktainer/./files/app/inner"),
    )
    assert found.files == expected
    assert wrapped(checkout, "spacktainer/files/app/run.sh bin/run", "%appfiles x").files[0].target == "bin/run"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/etc/passwd /x", "'/etc/passwd' does not lie below spacktainer/"),
        (".git/config /x", "'.git/config' does not lie below spacktainer/"),
        ("spacktainer/../.git/config", "'spacktainer/../.git/config' does not lie below spacktainer/"),
        ("spacktainer /x", "'spacktainer' does not lie below spacktainer/"),
        ("spacktainer/files/* /x", "'*' means something else to Apptainer"),
        ("spacktainer/files/app/run.sh $HOME", "'$' means something else to Apptainer"),
        ("spacktainer/files/app/my file /x", "more than a source and a target"),
        ("spacktainer/files/none /x", "there is no spacktainer/files/none"),
    ],
)
def test_what_nobody_can_count_is_refused(checkout: Path, line: str, message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        wrapped(checkout, f"  {line}")
    (fault,) = caught.value.faults
    assert str(fault).startswith(f"container_definitions/amd64/a.def:6:3: {message}")


def test_empty_folders_count(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("1")
    seen = {files_fingerprint(list_files(tmp_path))}
    (tmp_path / "empty").mkdir()
    seen.add(files_fingerprint(list_files(tmp_path)))
    (tmp_path / "empty" / "inner").mkdir()
    seen.add(files_fingerprint(list_files(tmp_path)))
    assert len(seen) == 3
