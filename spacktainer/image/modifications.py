"""What `spack env activate` does to variables, as JSON: `spack python modifications.py FOLDER`.

One record for each variable, sorted by `name`. Where its new value does not depend on the old one, that is `value`
(null: it is unset), and `kind` is the last step that made it so. All others have `steps`, what is done to the value in
turn, each `[kind, argument, separator]`, and `alone`, what comes of them where the variable is not set. Kinds are the
classes of lib/spack/spack/util/environment.py of Spack v0.21 to v1.2.

Runs in Spack's interpreter and activates nothing, so that no variable reaches that.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

STARTS_ANEW = ("SetEnv", "SetPath", "UnsetEnv")
PATHS = ("AppendPath", "PrependPath", "RemoveFirstPath", "RemoveLastPath", "RemovePath")


def records(folder: str) -> list[dict[str, Any]]:
    """What activating the environment in `folder` does to variables, with its default view if it has that."""
    environments = importlib.import_module("spack.environment")
    environment = environments.Environment(folder)
    default = environments.default_view_name
    view = default if environment.has_view(default) else None
    changes = importlib.import_module("spack.environment.shell").activate(env=environment, view=view)
    return [record(name, steps) for name, steps in sorted(changes.group_by_name().items())]


def record(name: str, steps: Sequence[Any]) -> dict[str, Any]:
    """What is done to one variable."""
    variables: dict[str, str] = {}
    for step in steps:
        step.execute(variables)
    alone = variables.get(name)
    anew = [type(step).__name__ for step in steps if type(step).__name__ in STARTS_ANEW]
    if anew:
        return {"name": name, "value": alone, "kind": anew[-1]}
    return {"name": name, "steps": [written(step) for step in steps], "alone": alone}


def written(step: Any) -> tuple[str, str, str]:
    """One step, with paths as Spack compares them."""
    kind, value = type(step).__name__, str(getattr(step, "value", ""))
    return kind, os.path.normpath(value) if kind in PATHS else value, step.separator


if __name__ == "__main__":
    # What recipes and Spack print goes where errors go, so that stdout has only the answer.
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    answer.write(json.dumps(records(sys.argv[1])))
    answer.close()
