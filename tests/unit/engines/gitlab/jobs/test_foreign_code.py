"""What a command sees that jobs run apart, as a real shell runs it, with namespaces and without."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_creator.scripts.rendering import render
from tests.samples import site

ARCHITECTURE = site().architectures["amd64"]
KEPT = ARCHITECTURE.seen_by_foreign_code("containers")
SCRIPT = f"set -eu\n{render('foreign_code.sh.j2', variables=KEPT)}"
MAKES_NAMESPACES = (
    subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True, check=False).returncode == 0
)
SETS = ("PWD", "OLDPWD", "SHLVL", "_")
"""What a shell sets by itself."""

values = st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=8).filter(
    lambda text: not text.endswith("\n")
)
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: name not in (*KEPT, *SETS, "IFS", "PS1", "PS4", "ENV", "BASH_ENV") and not name.startswith("LC_")
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with a token in it, and files of GitLab beside it."""
    root = tmp_path_factory.mktemp("builds")
    for path in ("project/.git/config", "project.tmp/KEY", "tmp/other", "bin/unshare"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("#!/bin/sh\nexit 1\n" if path == "bin/unshare" else "a secret")
    (root / "bin" / "unshare").chmod(0o755)
    return root / "project"


def seen(checkout: Path, command: str, more: Mapping[str, str], *, namespaces: bool) -> str:
    """What a command prints that is run apart."""
    path = os.environ["PATH"] if namespaces else f"{checkout.parent / 'bin'}:{os.environ['PATH']}"
    environment = {**more, "PATH": path, "TMPDIR": str(checkout.parent / "tmp")}
    script = f"{SCRIPT}\ncleanly sh -c '{command}'"
    done = subprocess.run(["/bin/sh", "-c", script], cwd=checkout, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert [path.name for path in (checkout.parent / "tmp").iterdir()] == ["other"]
    return done.stdout.decode()


@given(
    st.dictionaries(st.sampled_from([*sorted({*KEPT} - {"PATH", "TMPDIR"})]), values), st.dictionaries(names, values)
)
def test_variables_arrive_as_they_are_or_not_at_all(
    checkout: Path, kept: dict[str, str], others: dict[str, str]
) -> None:
    printed = seen(checkout, "env -0", {**kept, **others}, namespaces=False)
    found = dict(one.split("=", 1) for one in printed.split("\0") if one)
    assert {name: value for name, value in found.items() if name not in (*SETS, "PATH", "TMPDIR")} == kept


@pytest.mark.parametrize("namespaces", [True, False])
def test_settings_of_tools_arrive_and_their_logins_and_binds_do_not(checkout: Path, namespaces: bool) -> None:
    tools = {
        "BUILDAH_ISOLATION": "chroot",
        "STORAGE_DRIVER": "vfs",
        "APPTAINER_FAKEROOT": "1",
        "SINGULARITY_TMPDIR": "/x",
    }
    others = {
        "APPTAINER_DOCKER_PASSWORD": "1",
        "SINGULARITY_DOCKER_USERNAME": "1",
        "APPTAINER_BIND": "/",
        "APPTAINER_BINDPATH": "/",
        "SINGULARITY_MOUNT": "x",
        "APPTAINERENV_X": "1",
        "REGISTRY_AUTH_FILE": "/x",
        "A_LINE": "x\nBUILDAH_FORMAT=y",
    }
    printed = seen(checkout, "env", {**tools, **others}, namespaces=namespaces).splitlines()
    names = {line.partition("=")[0] for line in printed}
    assert names - {*SETS, "PATH", "TMPDIR"} == tools.keys()


@pytest.mark.parametrize("namespaces", [True, False])
def test_the_command_runs_in_the_folder_of_the_job(checkout: Path, namespaces: bool) -> None:
    folder = Path(seen(checkout, "pwd", {}, namespaces=namespaces).strip())
    assert folder.parent == checkout.parent / "tmp"


def test_with_namespaces_there_are_no_other_processes_and_no_checkout(checkout: Path) -> None:
    # The shell lists processes: each may end before 'ls' looks at it.
    look = f'cd {checkout} && ls -A . {checkout}.tmp && printf "%s\\n" /proc/[0-9]*'
    printed = seen(checkout, look, {}, namespaces=True)
    if MAKES_NAMESPACES:
        assert ".git" not in printed
        assert "KEY" not in printed
        assert len([line for line in printed.splitlines() if line.startswith("/proc/")]) <= 2
    else:
        assert ".git" in printed
    assert (checkout / ".git" / "config").read_text() == "a secret"


def test_what_a_command_leaves_running_ends_with_it(checkout: Path) -> None:
    if not MAKES_NAMESPACES:
        return
    seen(checkout, "sleep 4711 > /dev/null 2>&1 &", {}, namespaces=True)
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert b"sleep\x004711\x00" not in lines


def test_a_temporary_folder_in_the_checkout_is_refused(checkout: Path) -> None:
    inside = checkout / "inside"
    inside.mkdir(exist_ok=True)
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(inside)}
    done = subprocess.run(["/bin/sh", "-c", SCRIPT], cwd=checkout, env=environment, capture_output=True, check=False)
    assert done.returncode == 1
    assert b"TMPDIR lies in the checkout" in done.stderr
    assert not list(inside.iterdir())
