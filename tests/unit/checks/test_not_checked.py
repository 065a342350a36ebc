"""What nobody can know without Spack, a server or the images is told once, whatever the format."""

from __future__ import annotations

import json
from pathlib import Path

from tests.commands import jc
from tests.samples import SITE, TEMPLATE, write_repository

EXTERNAL = "spack:\n  specs: [zlib]\n  packages: {slurm: {externals: [{spec: slurm@23, prefix: /usr}]}}\n"
WRAPPED = "Bootstrap: docker\nFrom: example.org/group/tool:1.2\n"


def repository(root: Path) -> Path:
    mirror = "spack:\n  specs: [zlib]\n  mirrors: {ours: /srv/mirror}\n"
    files = {f"container_definitions/amd64/c{number}.yaml": EXTERNAL for number in range(20)}
    files |= {f"container_definitions/amd64/w{number}.def": WRAPPED for number in range(3)}
    write_repository(root, {"spack.yaml": TEMPLATE, "container_definitions/amd64/m.yaml": mirror, **files}, SITE)
    return root


def told(text: str) -> list[str]:
    return [line.removeprefix("not checked: ") for line in text.splitlines() if line.startswith("not checked: ")]


def test_each_reason_is_told_once(tmp_path: Path) -> None:
    found = told(jc("-C", str(repository(tmp_path)), "check").stdout)
    folder = "container_definitions/amd64"
    assert found[:2] == [
        f"{folder}/c0.yaml and 19 more: whether the builder and the runtime image have slurm in /usr",
        f"{folder}/m.yaml: whether jobs and the builds of images see /srv/mirror",
    ]
    assert found[3:] == ["whether registries have example.org/group/tool:1.2"]


def test_other_formats_keep_it_out_of_the_document(tmp_path: Path) -> None:
    root = repository(tmp_path)
    as_text = told(jc("-C", str(root), "check").stdout)
    for form in ("json", "gitlab"):
        result = jc("-C", str(root), "check", "--format", form)
        assert json.loads(result.stdout) == []
        assert told(result.stderr) == as_text
