"""What a cluster of Ray is started with. That it runs is tested in integration/test_build_on_ray.py."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from foundation.errors import FileAccessError, NotReadyError
from job_creator.engines.ray import cluster

HERE = {"PATH": "/usr/bin", "HOME": "/home/me"}


@pytest.fixture(autouse=True)
def _ray_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)


def test_a_cluster_has_a_token_that_only_its_user_reads(tmp_path: Path) -> None:
    made = cluster.new_cluster(HERE, 4, tmp_path)
    token = tmp_path / "ray-token"
    assert token.stat().st_mode & 0o777 == 0o600
    assert made.variables["RAY_AUTH_TOKEN_PATH"] == str(token)
    ((head, log),) = made.parts
    assert token.read_text() not in " ".join(head)
    assert log == str(tmp_path / "ray-head.log")
    assert {"--head", "--block", "--num-cpus=4", f"--temp-dir={made.folder}"} <= set(head)
    with pytest.raises(FileAccessError):
        cluster.new_cluster(HERE, 4, tmp_path)


def test_only_the_head_says_how_it_is_looked_at() -> None:
    """Ray refuses to start a node that does."""
    joining = cluster.start_command("head:6379", None, is_head=False)
    assert "--address=head:6379" in joining
    assert not [word for word in joining if word.startswith(("--include-dashboard", "--num-cpus"))]


def test_without_ray_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NotReadyError, match=r"pip install 'spacktainers\[ray\]'"):
        cluster.new_cluster(HERE, 4, tmp_path)
