"""The folder of a cluster in the hands of a user who is not of its group. As root, who becomes that user."""

from __future__ import annotations

import hashlib
import os
import traceback
from dataclasses import replace
from pathlib import Path

import pytest

from job_creator.publishing.clusters import sif_folder as folder
from tests.integration.published import RELEASE

pytestmark = [
    pytest.mark.usefixtures("components"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user"),
]

USER, GROUP = 65534, 4711


def write(descriptor: int) -> None:
    os.write(descriptor, b"content")


def put_as_user(below: Path, umask: int) -> None:
    """Install a file in a process of the user, who gets to no folder above this one."""
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
        return
    try:
        os.chdir(below)
        os.setgroups([])
        os.setgid(USER)
        os.setuid(USER)
        os.umask(umask)
        record = replace(RELEASE, size=7, sha256=hashlib.sha256(b"content").hexdigest())
        path = folder.path_of(Path("more/below"), record)
        folder.install(path, record, folder.Modes(0o750, 0o750), write)
    except BaseException:  # noqa: BLE001 - the child must never come back
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_group_and_setgid_stay_where_the_user_is_not_of_the_group(tmp_path: Path, umask: int) -> None:
    """Linux takes setgid away from a folder whose mode such a user changes."""
    shared = tmp_path / "shared"
    shared.mkdir()
    os.chown(shared, USER, GROUP)
    shared.chmod(0o2770)
    put_as_user(shared, umask)
    found = {path: (path.stat().st_mode & 0o7777, path.stat().st_gid) for path in shared.rglob("*")}
    assert {mode for path, (mode, _) in found.items() if path.is_dir()} == {0o2750}
    assert {mode for path, (mode, _) in found.items() if path.suffix == ".sif"} == {0o750}
    assert {group for _, group in found.values()} == {GROUP}
