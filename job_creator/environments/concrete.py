"""Concrete environments as the population jobs left them, and what of them goes into a container."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from foundation.errors import Fault, InvalidInputError
from foundation.spack.lockfile import Lockfile, read_lockfile
from foundation.spack.sections.table import shipped
from foundation.yaml_io import load
from job_creator.definitions.recipes import recipes_in_checkout, with_recipes_below
from job_creator.environments.container_section import ContainerSection, read_container_section
from job_creator.environments.from_spack import FILE, FromSpack, read_from_spack
from job_creator.environments.install_tree import install_tree
from job_creator.environments.marks import unmarked
from job_creator.environments.views import ENVIRONMENT_FOLDER, PLAIN_PATH, views

RECIPES_FOLDER: Final = f"{ENVIRONMENT_FOLDER}/recipes"
"""Below this, recipes of the environment's own lie in the container as they do in the repository."""


@dataclass(frozen=True, slots=True)
class ConcreteEnvironment:
    """A lockfile and the environment that it locks."""

    lock: Lockfile
    lock_sha256: str
    environment: Mapping[str, Any]
    """The `spack:` section of its `spack.yaml`."""
    path: str
    root: str
    """The DAG hash of what the environment asks for first."""

    @classmethod
    def read(cls, lock: bytes, manifest: bytes, path: str, from_spack: bytes | None = None) -> ConcreteEnvironment:
        """From the contents of `spack.lock`, `spack.yaml` and what Spack says of them; `path` names their folder.

        Only Spack knows the order of what was asked for; without its word the first root of the lockfile counts. Raises
        `InvalidInputError`, also for what Spack knows that it will refuse.
        """
        document = load(manifest, f"{path}/spack.yaml")
        section = document.get("spack") if isinstance(document, Mapping) else None
        if not isinstance(section, Mapping):
            raise InvalidInputError([Fault(f"{path}/spack.yaml", 1, 1, "holds no Spack environment")])
        found = read_lockfile(lock, f"{path}/spack.lock")
        if not found.roots:
            raise InvalidInputError([Fault(f"{path}/spack.lock", 1, 1, "locks nothing; the environment has no specs")])
        said = FromSpack() if from_spack is None else read_from_spack(from_spack, f"{path}/{FILE}")
        if said.faults:
            raise InvalidInputError([Fault(f"{path}/spack.lock", 1, 1, fault) for fault in said.faults])
        roots = [root for root in said.roots if root in found.specs] or found.roots
        return cls(found, hashlib.sha256(lock).hexdigest(), section, path, roots[0])

    @property
    def dag_hashes(self) -> str:
        """The sha256 over the DAG hashes of all specs. The lockfile's own bytes change with every commit of Spack."""
        return hashlib.sha256("\n".join(sorted(self.lock.specs)).encode()).hexdigest()

    @property
    def shipped(self) -> dict[str, Any]:
        """The `spack.yaml` of the container: what is installed and how it is seen, nothing of where it was built.

        Paths need no padding any more: what is padded in the build cache becomes shorter when it is installed.
        """
        kept = {key: value for key, value in self.environment.items() if shipped(unmarked(key))}
        config = next((key for key in kept if unmarked(key) == "config"), "config")
        return {"spack": {**with_recipes_below(kept, RECIPES_FOLDER), config: self._config()}}

    @property
    def recipes(self) -> tuple[str, ...]:
        """The folders with recipes of its own, seen from the checkout. A cache alone does not do."""
        return recipes_in_checkout(self.environment)

    @property
    def install_root(self) -> str:
        """The root of the install tree. Raises `InvalidInputError` unless it is an absolute path."""
        root = str(self._config()["install_tree"].get("root", ""))
        if not PLAIN_PATH.fullmatch(root):
            message = f"'config: install_tree: root' is {root!r}, from which a container cannot be made"
            hint = "set an absolute path in the template, such as /opt/software"
            raise InvalidInputError([Fault(f"{self.path}/spack.yaml", 1, 1, message, hint)])
        return root

    @property
    def view_roots(self) -> tuple[str, ...]:
        """The roots of all views. Spack's own place for one is inside the environment's folder.

        Raises `InvalidInputError` for roots that only Spack could find.
        """
        found = views(self._section("view"))
        for view in found:
            if not view.is_plain:
                message = f"the view at {view.root!r} cannot be put into a container"
                hint = "give it a path of letters, digits, '.', '_', '+' and '-'"
                raise InvalidInputError([Fault(f"{self.path}/spack.yaml", 1, 1, message, hint)])
        return tuple(view.root for view in found)

    @property
    def mirrors(self) -> Mapping[str, Any]:
        """The mirrors that it was made with: what is found on any of them may be installed in the container."""
        found = self._section("mirrors")
        return found if isinstance(found, Mapping) else {}

    @property
    def container(self) -> ContainerSection:
        """What it asks of its image."""
        return read_container_section(self._section("container"))

    def _section(self, name: str) -> Any:
        return next((value for key, value in self.environment.items() if unmarked(key) == name), None)

    def _config(self) -> dict[str, Any]:
        config = self._section("config")
        values = dict(config) if isinstance(config, Mapping) else {}
        others = {key: value for key, value in values.items() if unmarked(key) != "install_tree"}
        tree = install_tree(config)
        tree.pop("padded_length", None)
        return {**others, "install_tree": tree}
