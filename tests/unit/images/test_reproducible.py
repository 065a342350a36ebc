"""What no two installations of the same software have in common is gone from images, and Spack can read the rest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path

from tests.samples import REPOSITORY

SCRIPT = REPOSITORY / "spacktainer" / "image" / "reproducible.py"
EPOCH = 315_619_200


def _installed(root: Path, order: list[str], seconds: float) -> Mapping[str, bytes]:
    """Everything below an install tree of some packages, once it is settled."""
    database = root / ".spack-db"
    database.mkdir(parents=True)
    records = {one: {"spec": {"name": one}, "explicit": one == "a", "installation_time": seconds} for one in order}
    (database / "index.json").write_text(json.dumps({"database": {"version": "8", "installs": records}}))
    (database / "index_verifier").write_text(str(uuid.uuid4()))
    (database / "lock").touch()
    for name in order:
        metadata = root / name / ".spack"
        metadata.mkdir(parents=True)
        phases = [{"name": "install", "path": ["install"], "seconds": seconds, "count": 1}]
        (metadata / "install_times.json").write_text(json.dumps({"total": seconds, "phases": phases, "cache": True}))
    (root / "view").mkdir()
    (root / "view" / "install_times.json").symlink_to("../gone")
    _settle(root)
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def _settle(root: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "SOURCE_DATE_EPOCH": str(EPOCH)}
    subprocess.run([sys.executable, "-S", str(SCRIPT), str(root)], env=environment, check=True)


def test_two_installations_of_the_same_packages_are_the_same(tmp_path: Path) -> None:
    first = _installed(tmp_path / "first", ["a", "b", "c"], 12.5)
    second = _installed(tmp_path / "second", ["c", "a", "b"], 1764277200.25)
    assert first == second
    index = json.loads(first[".spack-db/index.json"])["database"]
    assert index["version"] == "8"
    assert index["installs"]["a"] == {"spec": {"name": "a"}, "explicit": True, "installation_time": EPOCH}
    times = json.loads(first["b/.spack/install_times.json"])
    assert times["phases"] == [{"name": "install", "path": ["install"], "seconds": 0.0, "count": 1}]
    assert times["cache"] is True


def test_another_index_has_another_verifier(tmp_path: Path) -> None:
    """By it alone Spack knows that it has to read the index again."""
    first = _installed(tmp_path / "first", ["a"], 1.0)[".spack-db/index_verifier"]
    second = _installed(tmp_path / "second", ["a", "b"], 1.0)[".spack-db/index_verifier"]
    assert first != second
    assert uuid.UUID(first.decode())


def test_what_is_settled_stays_as_it_is(tmp_path: Path) -> None:
    once = _installed(tmp_path / "root", ["a", "b"], 3.0)
    _settle(tmp_path / "root")
    assert once == {name: (tmp_path / "root" / name).read_bytes() for name in once}
