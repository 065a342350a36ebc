"""The files that containers are made from: the Dockerfile, and the script that sets environments up."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job_creator.scripts.rendering import render_text
from tests.programs import program, write_program
from tests.samples import PLAIN_DOCKERFILE, REPOSITORY, RICH_DOCKERFILE

IMAGE_FILES = REPOSITORY / "spacktainer" / "image"


def _dockerfile(**values: Any) -> str:
    return render_text((REPOSITORY / "spacktainer" / "Dockerfile.j2").read_text(), **values)


@pytest.mark.parametrize("values", [PLAIN_DOCKERFILE, RICH_DOCKERFILE], ids=["plain", "rich"])
def test_rendered_dockerfiles_pass_hadolint(values: Mapping[str, Any]) -> None:
    done = subprocess.run(
        [program("hadolint"), "--no-color", "-"],
        input=_dockerfile(**values),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_secrets_are_only_mounted() -> None:
    text = _dockerfile(**RICH_DOCKERFILE)
    lines = [line for line in text.splitlines() if "ACCESS_KEY" in line]
    assert lines
    for line in lines:
        assert line.startswith(("RUN --mount=type=secret,id=ACCESS_KEY_ID", "      --secret "))
    assert "--mount" not in _dockerfile(**PLAIN_DOCKERFILE)


def test_a_plain_container_gets_nothing_that_it_did_not_ask_for() -> None:
    text = _dockerfile(**PLAIN_DOCKERFILE)
    assert "--source-builds" not in text
    assert "--no-check-signature" not in text
    assert "ENV PATH" not in text
    assert text.endswith('CMD ["/bin/bash"]\n')


# --- environment.py ---------------------------------------------------------------------------------------------------

FAKE_SPACK = """\
import json, os, shlex, sys
assert sys.argv[1:4] == ["env", "activate", "--sh"], sys.argv
values = {{}}
for kind, name, value, separator in json.load(open({changes!r})):
    if kind == "set":
        values[name] = value
        continue
    there = values.get(name, os.environ.get(name, ""))
    entries = there.split(separator) if there else []
    entries = [value, *entries] if kind == "prepend" else [*entries, value]
    values[name] = separator.join(entries)
print("export SPACK_ENV=" + sys.argv[4] + ";\\nalias despacktivate='spack env deactivate';")
for name, value in values.items():
    print("export " + name + "=" + shlex.quote(value) + ";")
"""
"""Prints what Spack prints (spack/environment/shell.py) for changes that it knows (spack/util/environment.py)."""

Change = tuple[str, str, str, str]
LISTS = {"PATH": ":", "MANPATH": ":", "A_PATH": ":", "FLAGS": " ", "B_LIST": ";"}
TEXT = st.text(st.characters(codec="ascii", exclude_characters="\0:; "), min_size=1, max_size=8)
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)


@st.composite
def changes(draw: st.DrawFn) -> list[Change]:
    """What an activation does: entries of lists, all different, and variables that are set."""
    found: list[Change] = []
    for name, separator in LISTS.items():
        entries = draw(st.lists(TEXT, max_size=3, unique=True))
        kinds = draw(st.lists(st.sampled_from(["prepend", "append"]), min_size=len(entries), max_size=len(entries)))
        found += [(kind, name, entry, separator) for kind, entry in zip(kinds, entries, strict=True)]
    if draw(st.booleans()):
        # An empty entry at the end stands for the system's own manual pages.
        found += [("append", "MANPATH", "/man", ":"), ("append", "MANPATH", "", ":")]
    found += [("set", name, draw(VALUES), "") for name in draw(st.sets(st.sampled_from(["HOME_OF_X", "Y", "Z_1"])))]
    return found


def _script(folder: Path, wanted: list[Change]) -> str:
    """What environment.py makes of the changes."""
    (folder / "changes.json").write_text(json.dumps(wanted))
    write_program(folder / "spack", FAKE_SPACK.format(changes=str(folder / "changes.json")))
    command = [sys.executable, str(IMAGE_FILES / "environment.py"), "/opt/spack-environment"]
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "SPACK_ENV": "/left/over"}
    return os.fsdecode(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout)


def _sourced(script: Path, environment: Mapping[str, str], times: int, shell: str) -> dict[str, str]:
    """The variables of a shell that had those of `environment` and read the script."""
    command = [shell, "-euc", f". {shlex.quote(str(script))}; " * times + "exec /usr/bin/env -0"]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    found = dict(entry.split("=", 1) for entry in done.stdout.decode().split("\0") if entry)
    return {name: value for name, value in found.items() if name not in ("PWD", "SHLVL", "_", "OLDPWD")}


def _activated(wanted: list[Change], environment: Mapping[str, str]) -> dict[str, str]:
    """What Spack itself makes of an environment."""
    values = dict(environment)
    for kind, name, value, separator in wanted:
        if kind == "set":
            values[name] = value
            continue
        entries = values[name].split(separator) if values.get(name) else []
        values[name] = separator.join([value, *entries] if kind == "prepend" else [*entries, value])
    return values


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
@settings(max_examples=10)
@given(wanted=changes())
def test_the_script_does_what_spack_does_any_number_of_times(
    tmp_path_factory: pytest.TempPathFactory, shell: str, wanted: list[Change]
) -> None:
    folder = tmp_path_factory.mktemp("environment")
    script = folder / "environment.sh"
    script.write_bytes(os.fsencode(_script(folder, wanted)))
    empty = {"PATH": "/usr/bin:/bin"}
    once = _sourced(script, empty, 1, shell)
    assert once == _activated(wanted, empty)
    assert _sourced(script, empty, 2, shell) == once
    there = {"PATH": "/mine:/usr/bin", "A_PATH": "/mine", "FLAGS": "-mine", "Y": "mine"}
    beside = _sourced(script, there, 1, shell)
    assert beside == {**_activated(wanted, there), "Y": "mine"}
    assert _sourced(script, there, 2, shell) == beside


def test_the_script_says_nothing_of_spack_and_passes_shellcheck(tmp_path: Path) -> None:
    text = _script(tmp_path, [("prepend", "PATH", "/opt/a view/bin", ":"), ("set", "X_HOME", "it's", "")])
    assert "SPACK_ENV" not in text
    assert "despacktivate" not in text
    command = [program("shellcheck"), "--shell=sh", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_failing_spack_ends_the_script(tmp_path: Path) -> None:
    spack = tmp_path / "spack"
    spack.write_text("#!/bin/sh\nexit 3\n")
    spack.chmod(0o755)
    command = [sys.executable, str(IMAGE_FILES / "environment.py"), "/opt/spack-environment"]
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode != 0, done.stdout) == (True, "")
