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
    assert "--mount=type=secret" not in _dockerfile(**PLAIN_DOCKERFILE)


def test_a_plain_container_gets_nothing_that_it_did_not_ask_for() -> None:
    text = _dockerfile(**PLAIN_DOCKERFILE)
    assert "--source-builds" not in text
    assert "--no-check-signature" not in text
    assert "ENV PATH" not in text
    assert 'CMD ["/bin/bash"]\n\n# Last' in text


def test_the_image_is_looked_at_when_all_is_in_it() -> None:
    """Whatever an epilogue says of shells and entry points."""
    text = _dockerfile(**{**RICH_DOCKERFILE, "epilogue": 'SHELL ["/bin/csh"]'})
    assert text.rstrip().endswith('["/bin/sh", "/opt/spacktainer/runtime_check.sh"]')
    assert text.index("csh") < text.index("runtime_check.sh")


# --- environment.py ---------------------------------------------------------------------------------------------------

Step = tuple[str, str, str]
ENTRIES = st.sampled_from(
    [
        "/a",
        "/b/",
        "//c",
        "/a//b/../d",
        "x",
        ".",
        "..",
        "../../q",
        "/usr/bin",
        "/opt/a view/b",
        "a*b",
        "/..",
        "it's",
        "$X",
    ]
)
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
EMPTY = {"PATH": "/usr/bin:/bin"}
THERE = {"PATH": "/p:/p:/usr/lib//:", "A_PATH": "/mine::/r/", "FLAGS": "-mine", "Y": "mine", "PYTHONHOME": "/host"}


def _stepped(value: str, steps: list[Step]) -> str:
    """What Spack makes of a list (lib/spack/spack/util/environment.py)."""
    for kind, argument, separator in steps:
        entries = value.split(separator) if value else []
        if kind == "PrependPath":
            entries = [argument, *entries]
        elif kind in ("AppendPath", "AppendFlagsEnv"):
            entries = [*entries, argument]
        elif kind == "RemovePath":
            entries = [os.path.normpath(one) for one in value.split(separator) if one != argument]
        else:
            entries = list(dict.fromkeys(os.path.normpath(one) for one in entries))
        value = separator.join(entries)
    return value


def _record(name: str, steps: list[Step]) -> dict[str, Any]:
    return {"name": name, "steps": steps, "alone": _stepped("", steps)}


@st.composite
def lists(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Changes of lists, pruned in the end as where an environment has a view."""
    found = []
    for name, separator in {"PATH": ":", "MANPATH": ":", "A_PATH": ":", "B_LIST": ";", "FLAGS": " "}.items():
        kinds = ["AppendFlagsEnv"] if name == "FLAGS" else ["PrependPath", "AppendPath", "RemovePath"]
        adding: list[Step] = [
            (kind, os.path.normpath(entry) if name != "FLAGS" else f"-I{entry}", separator)
            for kind, entry in draw(st.lists(st.tuples(st.sampled_from(kinds), ENTRIES), max_size=4))
            if kind != "RemovePath" or os.path.normpath(entry) != "."
        ]
        if any(kind != "RemovePath" for kind, _, _ in adding):
            pruned: list[Step] = [] if name == "FLAGS" else [("PruneDuplicatePaths", "", separator)]
            found.append(_record(name, [*adding, *pruned]))
    return found


def _script(folder: Path, records: list[dict[str, Any]], own: Mapping[str, str] | None = None) -> str:
    """What environment.py makes of what Spack answers, for a runtime image with the variables `own`."""
    (folder / "answer").write_text(json.dumps(records))
    asked = shlex.quote(str(IMAGE_FILES / "modifications.py"))
    write_program(
        folder / "spack",
        f"""#!{sys.executable}
import os, sys
assert sys.argv[1:] == ["python", {asked!r}, "/opt/spack-environment"], sys.argv
assert not [name for name in os.environ if name.startswith("SPACK_ENV")]
print(open({str(folder / "answer")!r}).read())
""",
    )
    if own is not None:
        (folder / "own.json").write_text(json.dumps(own))
    command = [sys.executable, str(IMAGE_FILES / "environment.py"), "/opt/spack-environment", str(folder / "own.json")]
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "SPACK_ENV": "/left/over"}
    return os.fsdecode(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout)


def _sourced(script: Path, environment: Mapping[str, str], times: int, shell: str) -> dict[str, str]:
    """The variables of a shell that had those of `environment` and read the script."""
    command = [shell, "-euc", f". {shlex.quote(str(script))}; " * times + "exec /usr/bin/env -0"]
    home = {"HOME": "/home/somebody"}  # without one, the script looks for one
    done = subprocess.run(command, env={**home, **environment}, check=True, stdout=subprocess.PIPE)
    found = dict(entry.split("=", 1) for entry in done.stdout.decode().split("\0") if entry)
    own = {"PWD", "SHLVL", "_", "OLDPWD", *(home.keys() - environment.keys())}
    return {name: value for name, value in found.items() if name not in own}


def _read(folder: Path, records: list[dict[str, Any]], environment: Mapping[str, str]) -> dict[str, str]:
    """The variables after the script was read, in any shell and however often."""
    script = folder / "environment.sh"
    script.write_bytes(os.fsencode(_script(folder, records)))
    once = _sourced(script, environment, 1, "/bin/sh")
    assert _sourced(script, environment, 1, "/bin/bash") == once
    assert _sourced(script, environment, 2, "/bin/sh") == once
    return once


@settings(max_examples=10)
@given(records=lists())
def test_lists_become_what_spack_makes_of_them_any_number_of_times(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("environment")
    for start in (EMPTY, THERE):
        wanted = dict(start)
        for record in records:
            value = _stepped(start.get(record["name"], ""), record["steps"])
            wanted[record["name"]] = f"{value}:" if record["name"] == "MANPATH" and value[-1] != ":" else value
        assert _read(folder, records, start) == wanted


@settings(max_examples=10)
@given(value=VALUES)
def test_variables_are_set_whatever_they_are_called(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    """Also those that Python, Bash or the loader read themselves."""
    folder = tmp_path_factory.mktemp("environment")
    names = ["PYTHONHOME", "PYTHONHASHSEED", "PYTHONUTF8", "Y", "Z_1"]
    records = [{"name": name, "value": value, "kind": "SetEnv"} for name in names]
    assert _read(folder, records, EMPTY) == {**EMPTY, **dict.fromkeys(names, value)}
    assert _read(folder, records, THERE) == {"Z_1": value, "PYTHONUTF8": value, "PYTHONHASHSEED": value, **THERE}


@settings(max_examples=10)
@given(value=VALUES, own=VALUES)
def test_what_the_runtime_image_has_by_itself_gives_way(
    tmp_path_factory: pytest.TempPathFactory, value: str, own: str
) -> None:
    """And nothing else does, not even the same value, once somebody in the container chose it."""
    folder = tmp_path_factory.mktemp("environment")
    script = folder / "environment.sh"
    records = [{"name": name, "value": value, "kind": "SetEnv"} for name in ("LANG", "LC_ALL")]
    script.write_bytes(os.fsencode(_script(folder, records, {"LANG": own, "OTHER": own})))
    start = {**EMPTY, "LANG": own, "LC_ALL": "user's", "OTHER": own}
    found = _sourced(script, start, 1, "/bin/sh")
    mark = {"SPACKTAINERS_ENVIRONMENT_READ": "yes"}
    assert found == {**start, "LANG": value, **mark}
    assert _sourced(script, start, 2, "/bin/bash") == found
    assert _sourced(script, {**found, "LANG": own}, 1, "/bin/bash") == {**found, "LANG": own}
    assert _sourced(script, {**start, "LANG": f"{own}+"}, 2, "/bin/sh") == {**start, **mark, "LANG": f"{own}+"}


def test_what_is_unset_is_unset_whatever_was_there(tmp_path: Path) -> None:
    records: list[dict[str, Any]] = [
        {"name": "A_PATH", "value": "", "kind": "UnsetEnv"},
        {"name": "Y", "value": None, "kind": "UnsetEnv"},
    ]
    left = {name: value for name, value in THERE.items() if name != "Y"}
    assert _read(tmp_path, records, THERE) == {**left, "A_PATH": ""}


def test_apptainer_does_not_give_back_what_is_unset(tmp_path: Path) -> None:
    """Its action script unsets all variables, reads ours, and gives back what is not set then; not what is empty."""
    script = tmp_path / "environment.sh"
    script.write_text(_script(tmp_path, [{"name": "Y", "value": None, "kind": "UnsetEnv"}]))
    reading = f"__exported_env__='Y=host'; unset Y; . {shlex.quote(str(script))}; echo \"${{Y-restored}}\""
    done = subprocess.run(["/bin/bash", "-c", reading], env={}, capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_path_and_bash_env_are_set_although_every_container_has_them(tmp_path: Path) -> None:
    records = [{"name": name, "value": "/own", "kind": "SetEnv"} for name in ("BASH_ENV", "PATH")]
    ours = "/opt/spack-environment/environment.sh"
    for there, expected in {"": "/own", ours: "/own", "/user's": "/user's"}.items():
        (tmp_path / "environment.sh").write_text(_script(tmp_path, records))
        found = _sourced(tmp_path / "environment.sh", {**EMPTY, "BASH_ENV": there}, 2, "/bin/sh")
        assert found == {"BASH_ENV": expected, "PATH": "/own"}


def test_what_was_added_since_keeps_its_place(tmp_path: Path) -> None:
    records = [_record("PATH", [("PrependPath", "/view/bin", ":"), ("PruneDuplicatePaths", "", ":")])]
    there = {"PATH": "/venv/bin:/view/bin:/usr/bin:"}
    assert _read(tmp_path, records, there) == there


def test_the_script_says_nothing_of_spack_and_passes_shellcheck(tmp_path: Path) -> None:
    steps = [
        ("PrependPath", "/opt/a view/bin", ":"),
        ("AppendFlagsEnv", "it's", " "),
        ("RemovePath", "/x", ":"),
        ("RemoveFlagsEnv", "-x", " "),
        ("RemoveFirstPath", "/x", ":"),
        ("RemoveLastPath", "/x", ":"),
        ("DeprioritizeSystemPaths", "", ":"),
        ("PruneDuplicatePaths", "", ":"),
    ]
    text = _script(
        tmp_path,
        [
            {"name": "PATH", "steps": steps, "alone": ""},
            {"name": "X_HOME", "value": "it's", "kind": "SetEnv"},
            {"name": "Y", "value": None, "kind": "UnsetEnv"},
        ],
    )
    assert "SPACK_ENV" not in text
    command = [program("shellcheck"), "--shell=sh", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_names_that_no_shell_knows_end_the_build(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        _script(tmp_path, [{"name": "MY-NAME", "value": "1", "kind": "SetEnv"}])


def test_a_failing_spack_ends_the_script(tmp_path: Path) -> None:
    spack = tmp_path / "spack"
    spack.write_text("#!/bin/sh\nexit 3\n")
    spack.chmod(0o755)
    command = [sys.executable, str(IMAGE_FILES / "environment.py"), "/opt/spack-environment", "/nowhere"]
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode != 0, done.stdout) == (True, "")
