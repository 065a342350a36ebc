"""The site's target and compiler in what a real Spack concretizes, whatever a definition says of single packages."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from foundation.yaml_io import dump, parse
from job_creator.environments.merged import merged_environment
from tests.integration.real_spack import ROOTS
from tests.integration.toy_environment import compiler, line_of, setting_of, site_for

pytestmark = [
    pytest.mark.usefixtures("components"),
    pytest.mark.skipif(not ROOTS, reason="SPACKTAINERS_SPACK_ROOT names no Spack"),
]

DEFINITION = """\
specs: [bzip2, lz4, libxml2]
packages:
  bzip2: {require: "@1.0.8"}
  lz4: {require: [{any_of: [libs=static, libs=shared]}], prefer: [libs=shared]}
  libiconv: {require: [{spec: "@1:", when: "libs=shared"}]}
  pkgconf: {prefer: ["@2"]}
  zlib-api: {require: zlib}
  zlib: {require: [+pic]}
"""


@pytest.mark.parametrize("root", ROOTS)
def test_each_node_has_the_target_and_compiler_of_the_site(root: str, tmp_path: Path) -> None:
    line = line_of(root)
    value: Any = parse(DEFINITION.encode(), "definition").value
    environment: Any = merged_environment(
        setting_of(site_for(line), line),
        {"concretizer": {"reuse": False, "targets": {"granularity": "generic"}}},
        value,
    )
    (tmp_path / "spack.yaml").write_text(dump(environment))
    done = subprocess.run(
        [f"{root}/bin/spack", "-e", str(tmp_path), "concretize"],
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    specs = json.loads((tmp_path / "spack.lock").read_text())["concrete_specs"]
    nodes = {node["name"]: node for node in specs.values() if "external" not in node}
    assert {"bzip2", "lz4", "libiconv", "pkgconf", "zlib"} <= nodes.keys()
    assert "zlib-ng" not in nodes
    targets = {name: _target(node) for name, node in nodes.items()}
    assert set(targets.values()) == {"x86_64_v3"}, targets
    name, version = compiler().split("@")
    for node in nodes.values():
        used = _compiler(node, specs)
        assert used is None or (used[0] == name and used[1].partition(".")[0] == version), node["name"]
    assert all(_compiler(nodes[one], specs) for one in ("bzip2", "lz4", "libiconv", "zlib"))


def _target(node: dict[str, Any]) -> str:
    target = node["arch"]["target"]
    return target if isinstance(target, str) else str(target["name"])


def _compiler(node: dict[str, Any], specs: dict[str, Any]) -> tuple[str, str] | None:
    """Name and version of what compiles C in a node, as lockfiles of either kind say it."""
    if "compiler" in node:
        return node["compiler"]["name"], node["compiler"]["version"]
    used = [one for one in node.get("dependencies", ()) if "c" in one["parameters"].get("virtuals", ())]
    return next(((specs[one["hash"]]["name"], specs[one["hash"]]["version"]) for one in used), None)
