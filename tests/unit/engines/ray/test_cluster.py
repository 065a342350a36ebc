"""What a cluster of Ray is started with. That it runs is tested in integration/test_build_on_ray.py."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from foundation.errors import DamagedError, FileAccessError, NotReadyError
from job_creator.engines.ray import cluster

HERE = {"PATH": "/usr/bin", "HOME": "/home/me"}


@pytest.fixture(autouse=True)
def _ray_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)


def test_a_cluster_has_a_token_that_only_its_user_reads(tmp_path: Path) -> None:
    made = cluster.new_cluster(HERE, tmp_path, is_joined=False)
    token = tmp_path / "ray-token"
    assert token.stat().st_mode & 0o777 == 0o600
    assert made.variables["RAY_AUTH_TOKEN_PATH"] == str(token)
    ((head, log),) = made.parts
    assert token.read_text() not in " ".join(head)
    assert log == str(tmp_path / "ray-head.log")
    assert {"--head", "--block", f"--temp-dir={made.folder}"} <= set(head)
    with pytest.raises(FileAccessError):
        cluster.new_cluster(HERE, tmp_path, is_joined=False)


def test_machines_that_join_find_head_and_token_in_the_folder_of_the_run(tmp_path: Path) -> None:
    assert cluster.joining(tmp_path, 2) is None
    made = cluster.new_cluster(HERE, tmp_path, is_joined=True)
    ((head, _),) = made.parts
    # The head itself builds nothing, and is not only seen from its own machine.
    assert "--num-cpus=0" in head
    assert not made.address.startswith("127.0.0.1:")
    assert made.told is not None
    assert cluster.joining(tmp_path, 2) is None
    made.told.write_text(f"{made.address}\n")
    node = cluster.joining(tmp_path, 2)
    assert node is not None
    assert {f"--address={made.address}", "--num-cpus=2", "--block"} <= set(node[0])
    assert node[1]["RAY_AUTH_TOKEN_PATH"] == str(tmp_path / "ray-token")


def test_a_file_that_holds_no_address_is_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "ray-address").write_text("--head --block\n")
    with pytest.raises(DamagedError, match="holds no address"):
        cluster.joining(tmp_path, 2)


def test_only_the_head_says_how_it_is_looked_at() -> None:
    """Ray refuses to start a node that does."""
    joining = cluster.start_command("head:6379", None, is_head=False)
    assert "--address=head:6379" in joining
    assert not [word for word in joining if word.startswith(("--include-dashboard", "--num-cpus"))]


def test_without_ray_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NotReadyError, match=r"pip install 'spacktainers\[ray\]'"):
        cluster.new_cluster(HERE, tmp_path, is_joined=False)
