"""What GitLab and shellcheck have against a pipeline."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator

from tests.programs import program

GOLDEN = Path(__file__).parent / "golden"


@lru_cache(maxsize=1)
def gitlab_schema() -> dict[str, Any]:
    """GitLab's published schema of .gitlab-ci.yml, as check-jsonschema ships it."""
    found = importlib.util.find_spec("check_jsonschema")
    assert found is not None
    assert found.origin is not None
    path = Path(found.origin).parent / "builtin_schemas" / "vendor" / "gitlab-ci.json"
    schema: dict[str, Any] = json.loads(path.read_text())
    return schema


def schema_errors(document: Any) -> list[str]:
    """What GitLab's schema has against a pipeline."""
    return [f"{error.json_path}: {error.message}" for error in Draft7Validator(gitlab_schema()).iter_errors(document)]


def shellcheck(script: str) -> str:
    """What shellcheck has against a script; empty if nothing."""
    # SC1091: Spack's set-up file is in the image; SC2154: the variables are GitLab's and the job's.
    command = [program("shellcheck"), "--shell=sh", "--exclude=SC1091,SC2154", "-"]
    done = subprocess.run(command, input=script, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode else ""
