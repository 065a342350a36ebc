"""What `.ci/run` is made of."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

import pytest

from tests.samples import REPOSITORY

FOLDER = REPOSITORY / ".ci"
SCRIPTS = sorted(path for path in FOLDER.iterdir() if path.is_file() and path.suffix != ".py")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_pass_shellcheck(path: Path) -> None:
    assert path.stat().st_mode & 0o111
    command = [str(Path(sys.executable).parent / "shellcheck"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def carried(tmp_path: Path, listed: str, **variables: str) -> tuple[dict[str, dict[str, str]], list[str]]:
    """The sections of the file that is written, and the paths that are printed."""
    file = tmp_path / "pip.conf"
    command = [sys.executable, str(FOLDER / "pip_configuration.py"), str(file)]
    done = subprocess.run(command, input=listed, env=variables, capture_output=True, text=True, check=True)
    found = configparser.RawConfigParser()
    found.read(file)
    return {name: dict(found[name]) for name in found.sections()}, done.stdout.splitlines()


def test_without_a_configuration_there_is_nothing_to_carry(tmp_path: Path) -> None:
    assert carried(tmp_path, "") == ({"global": {}}, [])


def test_settings_of_files_and_variables_become_one_file_and_paths_are_named_once(tmp_path: Path) -> None:
    for name in ("wheels", "index/simple", "other/simple"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "roots.pem").touch()
    listed = f"""\
:env:.find-links='{tmp_path}/wheels'
:env:.default-timeout='180'
global.cert='{tmp_path}/roots.pem'
global.find-links='/nowhere/wheels'
global.extra-index-url='file://{tmp_path}/index/simple file://{tmp_path}/other/simple https://example.org/simple'
install.no-index='100% "true"'
"""
    settings, paths = carried(tmp_path, listed, https_proxy="http://proxy.example.org:3128")
    assert settings == {
        "global": {
            "proxy": "http://proxy.example.org:3128",
            "find-links": f"{tmp_path}/wheels",
            "default-timeout": "180",
            "cert": f"{tmp_path}/roots.pem",
            "extra-index-url": " ".join(
                [f"file://{tmp_path}/index/simple", f"file://{tmp_path}/other/simple", "https://example.org/simple"]
            ),
        },
        "install": {"no-index": '100% "true"'},
    }
    # The pages of an index lead to files beside it.
    assert sorted(paths) == sorted(str(tmp_path / name) for name in ("wheels", "roots.pem", "index", "other"))
