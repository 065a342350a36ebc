"""Makes what every job would make for itself: the indexes of Spack's recipes, and its solver.

Run by `spack -e ENVIRONMENT python`, in Spack v0.21 to v1.2, so nothing of this project is imported here.
"""

from __future__ import annotations

import importlib


def main() -> None:
    """Ask for each of them, which makes it."""
    repositories = importlib.import_module("spack.repo").PATH
    for index in ("provider_index", "patch_index", "tag_index"):
        getattr(repositories, index)
    with importlib.import_module("spack.bootstrap").ensure_bootstrap_configuration():
        importlib.import_module("spack.bootstrap.core").ensure_clingo_importable_or_raise()


if __name__ == "__main__":
    main()
