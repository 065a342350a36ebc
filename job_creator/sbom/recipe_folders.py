"""Repositories of recipes on this machine, read for licenses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from foundation.errors import naming


def recipes_in(folders: Iterable[Path]) -> Callable[[str], str | None]:
    """What gives the recipe of a package, out of the first repository that has one; it raises `FileAccessError`.

    A repository of Spack's API 2 calls a folder `zlib_ng` where the package is `zlib-ng`, and `_3dtk` for `3dtk`.
    """
    every = [*folders]

    def recipe_of(name: str) -> str | None:
        flat = name.replace("-", "_")
        places = (folder / "packages" / one / "package.py" for folder in every for one in (name, flat, f"_{flat}"))
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            return None
        with naming(path):
            return path.read_text(encoding="utf-8", errors="replace")

    return recipe_of
