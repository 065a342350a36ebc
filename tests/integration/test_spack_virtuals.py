"""Which settings of virtual packages a real Spack follows, refuses, or passes over (`checks/specs/virtuals.py`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.real_spack import ROOTS
from tests.integration.tiny_spack import TinySpack

pytestmark = [
    pytest.mark.usefixtures("components"),
    pytest.mark.skipif(not ROOTS, reason="SPACKTAINERS_SPACK_ROOT names no Spack"),
]


@pytest.mark.parametrize("root", ROOTS)
def test_requirements_of_virtual_packages(root: str, tmp_path: Path) -> None:
    spack = TinySpack.made(root, tmp_path)
    first = {"tiny-mpi": ["tiny-openmpi"]}
    settings: dict[str, dict[str, Any]] = {
        "a name": {"require": "tiny-mpich"},
        "a variant": {"require": "+x"},
        "a variant beside a name": {"require": ["tiny-mpich", "+x"]},
        "a compiler": {"require": "%gcc"},
        "a target": {"require": "target=x86_64"},
        "prefer": {"prefer": ["tiny-mpich"]},
        "prefer a variant": {"prefer": ["+x"]},
        "conflict": {"conflict": ["tiny-openmpi"]},
        "version": {"version": ["1.0"]},
        "variants": {"variants": "+x"},
    }
    sections = {
        name: {"specs": ["tiny-user"], "packages": {"all": {"providers": first}, "tiny-mpi": said}}
        for name, said in settings.items()
    }
    sections["namespace"] = {"specs": ["tiny-lib"], "packages": {"tiny.tiny-lib": {"version": ["1.0"]}}}
    made = {}
    for name, answer in spack.answers(sections).items():
        nodes = json.loads((spack.folder_of(name) / "spack.lock").read_bytes()) if isinstance(answer, dict) else {}
        names = [f"{node['name']}@{node['version']}" for node in nodes.get("concrete_specs", {}).values()]
        made[name] = [one for one in names if one.startswith(("tiny-mpich", "tiny-openmpi", "tiny-lib"))]
    apart = spack.line.compilers_are_dependencies
    followed, passed_over = ["tiny-mpich@3.0"], ["tiny-openmpi@3.0"]
    assert made == {
        "a name": followed,
        "a variant": [],
        "a variant beside a name": [],
        "a compiler": [],
        "a target": [] if apart else passed_over,
        "prefer": followed if apart else passed_over,
        "prefer a variant": passed_over,
        "conflict": followed if apart else passed_over,
        "version": passed_over,
        "variants": passed_over,
        "namespace": ["tiny-lib@2.1"],
    }
