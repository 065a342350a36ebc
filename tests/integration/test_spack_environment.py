"""The script of a container's environment against `spack env activate` of a real Spack."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from foundation.yaml_io import dump
from tests.integration.real_spack import ROOTS, alone
from tests.samples import REPOSITORY

IMAGE_FILES = REPOSITORY / "spacktainer" / "image"
HOSTILE = {
    "set": {
        "BASH_ENV": "/opt/own.sh",
        "LD_PRELOAD_OF_NOBODY": "a b",
        "PYTHONHASHSEED": "0",
        "PYTHONHOME": "/nowhere",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONMALLOC": "malloc",
        "PYTHONUTF8": "1",
        "QUOTED": 'it\'s $HOME\nand "more"',
        "URL": "https://example.org//a/b",
    },
    "unset": ["LD_PRELOAD", "PYTHONSTARTUP"],
    "append_path": {"PATH": "/app//end/", "OWN_PATH": "/x"},
    "prepend_path": {"PATH": "/first", "LD_LIBRARY_PATH": "/lib/../own"},
    "remove_path": {"MANPATH": "/host/man", "PATH": "/sbin"},
}
OWN = {"URL": "https://image.example.org", "QUOTED": "the image's"}
"""What the image that is built on sets. Spack sets these variables as well; others that it sets are in no image."""
STARTS: list[dict[str, str]] = [
    {"HOME": "/h", "PATH": "/usr/bin:/bin"},
    {"HOME": "/h", "PATH": "/usr/bin:/bin:/sbin:/usr/bin:", "MANPATH": "/host/man:/m", "LD_LIBRARY_PATH": "/a//b:"},
    {"HOME": "/h", "PATH": "/bin/", "LD_PRELOAD": "", "PYTHONSTARTUP": "/host.py", "OWN_PATH": "/y:/y", **OWN},
]

pytestmark = [
    pytest.mark.usefixtures("components"),
    pytest.mark.skipif(not ROOTS, reason="SPACKTAINERS_SPACK_ROOT names no Spack"),
]


def _read(text: str, environment: Mapping[str, str], times: int = 1) -> dict[str, str]:
    """The variables of a shell after it read a script."""
    done = subprocess.run(
        ["/bin/sh", "-euc", 'eval "$1"; ' * times + "exec /usr/bin/env -0", "sh", text],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
    )
    found = dict(entry.split("=", 1) for entry in done.stdout.decode().split("\0") if entry)
    return {name: value for name, value in found.items() if name[:6] not in ("SPACK_", "SPACKT", "_", "PWD")}


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("has_view", [True, False])
def test_the_script_does_what_activating_does(root: str, has_view: bool, tmp_path: Path) -> None:
    variables = alone(tmp_path)
    environment: dict[str, Any] = {"specs": [], "view": str(tmp_path / "view") if has_view else False}
    own = tmp_path / "own.json"
    own.write_text(json.dumps(OWN))
    knows = subprocess.run(
        [f"{root}/bin/spack", "config", "get", "env_vars"], env=variables, capture_output=True, check=False
    )
    folder = tmp_path / "environment"
    folder.mkdir()
    section = {"env_vars": HOSTILE} if knows.returncode == 0 else {}
    (folder / "spack.yaml").write_text(dump({"spack": {**environment, **section}}))
    # The builder's own PATH has no say in it.
    builder = {**variables, "PATH": f"{root}/bin:{variables['PATH']}:/usr/bin:/usr/bin:"}
    script = subprocess.run(
        [sys.executable, str(IMAGE_FILES / "environment.py"), str(folder), str(own)],
        env=builder,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    for start in STARTS:
        activation = subprocess.run(
            [f"{root}/bin/spack", "env", "activate", "--sh", str(folder)],
            env={**variables, **start, "LD_PRELOAD": ""} if "LD_PRELOAD" in start else {**variables, **start},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
        once = _read(script, start)
        assert once == _read(activation, start)
        assert _read(script, start, times=2) == once


RANDOM = """
import json, random, sys
sys.path.insert(0, sys.argv[1])
import modifications
from spack.util.environment import EnvironmentModifications
choose = random.Random(int(sys.argv[2])).choice
entries = ["/a", "/b/", "//c", "/a//b/../d", "x", "..", "../../q", "/usr/lib", "/a view/b", "a*b", "/..", "it's", "$X"]
names = [("PATH", ":"), ("MANPATH", ":"), ("FLAGS", " "), ("A_LIST", ";"), ("A_LIST", ":")]
found = []
for _ in range(60):
    changes = EnvironmentModifications()
    for _ in range(choose(range(1, 7))):
        name, separator = choose(names)
        kinds = ["prepend_path", "append_path", "remove_path", "deprioritize_system_paths", "prune_duplicate_paths"]
        kinds = ["append_flags", "remove_flags", "unset", "set"] if name == "FLAGS" else kinds
        kind = choose(kinds)
        more = [] if kind in ("unset", "deprioritize_system_paths", "prune_duplicate_paths") else [choose(entries)]
        more += [] if kind in ("unset", "set") else [separator]
        getattr(changes, kind)(name, *more)
    for name in changes.group_by_name():
        changes.prune_duplicate_paths(name)
    records = [modifications.record(name, steps) for name, steps in sorted(changes.group_by_name().items())]
    starts = []
    for start in json.loads(sys.argv[3]):
        after = dict(start)
        changes.apply_modifications(after)
        if "MANPATH" in changes.group_by_name() and not after["MANPATH"].endswith(":"):
            after["MANPATH"] += ":"
        starts.append([start, after])
    found.append([records, starts])
print("ANSWER" + json.dumps(found))
"""


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("seed", range(2))
def test_lists_become_what_spack_makes_of_them(root: str, seed: int, tmp_path: Path) -> None:
    (tmp_path / "random_changes.py").write_text(RANDOM)
    starts = [{"PATH": "/usr/bin:/bin"}, {"PATH": "/p:/p:/usr/lib//:", "A_LIST": "/q::/r/", "MANPATH": "/h"}]
    command = [f"{root}/bin/spack", "python", "random_changes.py", str(IMAGE_FILES), str(seed), json.dumps(starts)]
    done = subprocess.run(command, cwd=tmp_path, env=alone(tmp_path), check=True, stdout=subprocess.PIPE, text=True)
    script = runpy.run_path(str(IMAGE_FILES / "environment.py"))["script"]
    for records, expected in json.loads(done.stdout.partition("ANSWER")[2]):
        for start, after in expected:
            assert _read(script(records, {}), start) == after, records
