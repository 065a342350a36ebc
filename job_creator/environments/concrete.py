"""Concrete environments as the population jobs left them, and what of them goes into a container."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from foundation.errors import Fault, InvalidInputError
from foundation.spack.lockfile import Lockfile, read_lockfile
from foundation.yaml_io import load
from job_creator.environments.marks import unmarked

ENVIRONMENT_FOLDER: Final = "/opt/spack-environment"
"""Where the environment is in the container."""
_PLAIN_PATH = re.compile(r"(/[\w.+-]+)+")
_NOT_SHIPPED: Final = frozenset({"mirrors", "ci", "cdash", "bootstrap", "container", "include", "develop"})
"""Sections that only mean something where things are built."""


@dataclass(frozen=True, slots=True)
class ConcreteEnvironment:
    """A lockfile and the environment that it locks."""

    lock: Lockfile
    lock_sha256: str
    environment: Mapping[str, Any]
    """The `spack:` section of its `spack.yaml`."""
    path: str

    @classmethod
    def read(cls, lock: bytes, manifest: bytes, path: str) -> ConcreteEnvironment:
        """From the contents of `spack.lock` and `spack.yaml`; `path` names their folder. Raises `InvalidInputError`."""
        document = load(manifest, f"{path}/spack.yaml")
        section = document.get("spack") if isinstance(document, Mapping) else None
        if not isinstance(section, Mapping):
            raise InvalidInputError([Fault(f"{path}/spack.yaml", 1, 1, "holds no Spack environment")])
        found = read_lockfile(lock, f"{path}/spack.lock")
        if not found.roots:
            raise InvalidInputError([Fault(f"{path}/spack.lock", 1, 1, "locks nothing; the environment has no specs")])
        return cls(found, hashlib.sha256(lock).hexdigest(), section, path)

    @property
    def dag_hashes(self) -> str:
        """The sha256 over the DAG hashes of all specs. The lockfile's own bytes change with every commit of Spack."""
        return hashlib.sha256("\n".join(sorted(self.lock.specs)).encode()).hexdigest()

    @property
    def shipped(self) -> dict[str, Any]:
        """The `spack.yaml` of the container: what is installed and how it is seen, nothing of where it was built.

        Paths need no padding any more: what is padded in the build cache becomes shorter when it is installed.
        """
        kept = {key: value for key, value in self.environment.items() if unmarked(key) not in _NOT_SHIPPED}
        return {"spack": {**kept, "config": self._config()}}

    @property
    def install_root(self) -> str:
        """The root of the install tree. Raises `InvalidInputError` unless it is an absolute path."""
        root = str(self._config()["install_tree"].get("root", ""))
        if not _PLAIN_PATH.fullmatch(root):
            message = f"'config: install_tree: root' is {root!r}, from which a container cannot be made"
            hint = "set an absolute path in the template, such as /opt/software"
            raise InvalidInputError([Fault(f"{self.path}/spack.yaml", 1, 1, message, hint)])
        return root

    @property
    def view_roots(self) -> tuple[str, ...]:
        """The roots of all views. Spack's own place for one is inside the environment's folder.

        Raises `InvalidInputError` for roots that only Spack could find.
        """
        roots = self._view_roots()
        for root in roots:
            if not _PLAIN_PATH.fullmatch(root):
                message = f"the view at {root!r} cannot be put into a container"
                hint = "give it a path of letters, digits, '.', '_', '+' and '-'"
                raise InvalidInputError([Fault(f"{self.path}/spack.yaml", 1, 1, message, hint)])
        return roots

    def _view_roots(self) -> tuple[str, ...]:
        view = self.environment.get("view", True)
        if view is False:
            return ()
        if view is True or view is None:
            return (f"{ENVIRONMENT_FOLDER}/.spack-env/view",)
        if isinstance(view, str):
            return (_below_environment(view),)
        roots = (one.get("root", "") if isinstance(one, Mapping) else str(one) for one in view.values())
        return tuple(_below_environment(root) for root in roots)

    def _config(self) -> dict[str, Any]:
        config = next((value for key, value in self.environment.items() if unmarked(key) == "config"), None)
        values = dict(config) if isinstance(config, Mapping) else {}
        tree = next((value for key, value in values.items() if unmarked(key) == "install_tree"), None)
        inner = {"root": tree} if isinstance(tree, str) else dict(tree) if isinstance(tree, Mapping) else {}
        inner.pop("padded_length", None)
        others = {key: value for key, value in values.items() if unmarked(key) != "install_tree"}
        return {**others, "install_tree": inner}


def _below_environment(path: str) -> str:
    return posixpath.join(ENVIRONMENT_FOLDER, path)
