"""Where an environment installs packages, as its section `config` says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from job_creator.environments.marks import unmarked


def install_tree(config: Any) -> dict[str, Any]:
    """The mapping below `install_tree`, without marks; a plain path is its root, and nothing is an empty mapping."""
    tree = _inner(config, "install_tree")
    if isinstance(tree, str):
        return {"root": tree}
    return {unmarked(str(key)): value for key, value in tree.items()} if isinstance(tree, Mapping) else {}


def _inner(mapping: Any, name: str) -> Any:
    items = mapping.items() if isinstance(mapping, Mapping) else ()
    return next((value for key, value in items if unmarked(str(key)) == name), None)
