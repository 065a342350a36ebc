from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from foundation.errors import NotReadyError
from foundation.yaml_io import load
from job_creator.rehearsal.shell.tools import find_tools, warm_up

ALL = {"git": "", "rsync": "", "bash": "", "node": "echo v22.1.0", "gitlab-ci-local": ""}


def programs(folder: Path, texts: Mapping[str, str]) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return str(folder)


def test_everything_that_is_missing_is_said_at_once(tmp_path: Path) -> None:
    path = programs(tmp_path / "bin", {"git": "", "bash": ""})
    with pytest.raises(NotReadyError) as caught:
        find_tools([tmp_path / "node_modules"], {"PATH": path, "SPACK_ROOT": str(tmp_path / "gone")})
    assert str(caught.value).splitlines() == [
        "a rehearsal needs what is not here:",
        "  rsync: not installed; install the package of that name",
        "  node and gitlab-ci-local: not installed; 'make rehearsal-tools' installs what fits",
        f"  Spack: SPACK_ROOT is {tmp_path}/gone, and {tmp_path}/gone/bin/spack is not there; "
        "name the folder of a Spack, or unset it",
    ]


def test_what_a_spack_cannot_do_is_known_before_the_first_job(tmp_path: Path) -> None:
    path = programs(tmp_path / "bin", ALL)
    environment = {"PATH": path, "SPACK_ROOT": str(tmp_path), "SPACK_PYTHON": "/opt/python"}
    programs(tmp_path / "bin", {"spack": "echo \"No module named 'boto3'\" >&2; exit 1"})
    with pytest.raises(NotReadyError, match=r"boto3 in the Python of Spack.*'/opt/python -m pip install boto3'"):
        find_tools([], environment)
    programs(tmp_path / "bin", {"spack": "echo broken >&2; exit 1"})
    with pytest.raises(NotReadyError, match=r"boto3 in the Python of Spack.*broken"):
        find_tools([], environment)
    programs(tmp_path / "bin", {"spack": 'test "$*" = "python -c import boto3"'})
    assert find_tools([], environment).node == tmp_path / "bin" / "node"


def test_without_a_real_spack_none_is_asked_for(tmp_path: Path) -> None:
    assert find_tools([], {"PATH": programs(tmp_path / "bin", ALL)}).script == tmp_path / "bin" / "gitlab-ci-local"


@pytest.mark.parametrize("repositories", [{"toy": "$REHEARSAL_CHECKOUT/toy"}, ["/opt/toy"], None])
def test_the_repositories_of_the_template_are_indexed(tmp_path: Path, repositories: object) -> None:
    programs(tmp_path / "bin", {"spack": f'echo "$@" > "{tmp_path}/asked"'})
    template = {"spack": {"mirrors": {"x": "s3://x"}, **({"repos": repositories} if repositories else {})}}
    warm_up(tmp_path / "warm", template, {"SPACK_ROOT": str(tmp_path)})
    environment, script = (tmp_path / "asked").read_text().removeprefix("-e ").strip().split(" python ")
    assert environment == f"{tmp_path}/warm"
    assert "provider_index" in Path(script).read_text()
    manifest = load((tmp_path / "warm" / "spack.yaml").read_bytes(), "spack.yaml")
    expected = {"specs": [], "view": False, **({"repos": repositories} if repositories else {})}
    assert manifest == {"spack": expected}


def test_a_spack_that_cannot_concretize_is_told_of(tmp_path: Path) -> None:
    programs(tmp_path / "bin", {"spack": "echo 'no clingo' >&2; exit 1"})
    with pytest.raises(NotReadyError, match=r"bin/spack: cannot concretize anything here: .*no clingo"):
        warm_up(tmp_path / "warm", {}, {"SPACK_ROOT": str(tmp_path)})
