"""How a step is put into a container, with a program that only pretends."""

from __future__ import annotations

from pathlib import Path

import pytest

from foundation.errors import NotReadyError
from job_creator.runs.machines import container
from job_creator.runs.machines.container import require_container, step_container


@pytest.fixture(name="programs")
def programs_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def pretend(programs: Path, name: str, script: str) -> None:
    (programs / name).write_text(f"#!/bin/sh\n{script}\n")
    (programs / name).chmod(0o755)


def test_folders_are_seen_once_and_what_lies_in_them_is_not_named(programs: Path) -> None:
    pretend(programs, "singularity", "exit 0")
    made = step_container(programs / "my tools.sif", ["/p/me/run", "/p/me", "/p/meadow", "/p/me", "/data:/inside"])
    binds = ("--bind=/data:/inside", "--bind=/p/me", "--bind=/p/meadow")
    assert made.argv == ("singularity", "exec", *binds, f"{programs}/my tools.sif")


def test_without_apptainer_it_is_said_what_to_install(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(NotReadyError, match="install it, or build without --container"):
        step_container(Path("tools.sif"), [])


@pytest.mark.parametrize(("most", "cause"), [("0", "allows no user namespaces"), ("100", "")])
def test_why_a_container_cannot_be_started_is_told(
    programs: Path, monkeypatch: pytest.MonkeyPatch, most: str, cause: str
) -> None:
    pretend(programs, "apptainer", "echo 'FATAL: no permission' >&2; exit 255")
    (programs / "most").write_text(f"{most}\n")
    monkeypatch.setattr(container, "_NAMESPACES", programs / "most")
    with pytest.raises(NotReadyError, match="FATAL: no permission") as raised:
        require_container(step_container(Path("tools.sif"), []))
    assert ("allows no user namespaces" in str(raised.value)) == bool(cause)
