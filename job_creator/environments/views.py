"""Where the views of an environment are in a container, and where none can be."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from foundation.yaml_io import Location
from job_creator.environments.marks import unmarked

ENVIRONMENT_FOLDER: Final = "/opt/spack-environment"
"""Where the environment is in the container."""
LOCK_PATH: Final = f"{ENVIRONMENT_FOLDER}/spack.lock"
"""Where its lockfile is."""
PLAIN_PATH: Final = re.compile(r"(/[\w.+-]+)+")

_ROOT: Final = ("bin", "boot", "dev", "etc", "lib", "lib64", "media", "mnt", "opt", "run", "sbin", "srv", "tmp", "usr")
_USR: Final = ("bin", "games", "include", "lib", "lib64", "local", "sbin", "share", "src")
_LOCAL: Final = ("bin", "etc", "games", "include", "lib", "man", "sbin", "share", "src")
_VAR: Final = ("cache", "lib", "local", "lock", "log", "mail", "opt", "run", "spool", "tmp")
STANDARD_FOLDERS: Final = frozenset(
    [
        "/",
        *(f"/{name}" for name in (*_ROOT, "home", "proc", "root", "sys", "var")),
        *(f"/usr/{name}" for name in _USR),
        *(f"/usr/local/{name}" for name in _LOCAL),
        *(f"/var/{name}" for name in _VAR),
    ]
)
"""Folders that images of Linux distributions have (Filesystem Hierarchy Standard 3.0, chapters 3 to 6)."""
MOUNTED: Final = tuple(f"/{name}" for name in ("dev", "proc", "run", "sys", "tmp", "var/tmp"))
"""What containers get from the host or anew when they start, so that nothing of an image is seen there."""


@dataclass(frozen=True, slots=True)
class EnvironmentView:
    """One view of an environment."""

    root: str
    """Absolute, if Spack alone does not have to say where it is."""
    location: Location
    """Where it is written, seen from `spack:`, without marks."""

    @property
    def is_plain(self) -> bool:
        """Whether its root is a path that a Dockerfile can name."""
        return bool(PLAIN_PATH.fullmatch(self.root)) and self.root == posixpath.normpath(self.root)


def views(written: Any) -> tuple[EnvironmentView, ...]:
    """The views that the section `view` asks for; without it Spack makes one inside the environment's folder."""
    if written is False:
        return ()
    if written is True or written is None:
        return (EnvironmentView(f"{ENVIRONMENT_FOLDER}/.spack-env/view", ("view",)),)
    if isinstance(written, str):
        return (EnvironmentView(_below_environment(written), ("view",)),)
    if not isinstance(written, Mapping):
        return ()
    return tuple(_named(unmarked(str(name)), one) for name, one in written.items())


def what_is_wrong(found: Sequence[EnvironmentView], install_root: str) -> Iterator[tuple[EnvironmentView, str, str]]:
    """Each view that cannot be made in a container, with the reason and a hint."""
    for index, view in enumerate(found):
        root = view.root
        if not view.is_plain:
            yield (
                view,
                f"the view at {root!r} cannot be put into a container",
                "give it a path of letters, digits, '.', '_', '+' and '-'",
            )
        elif root in STANDARD_FOLDERS or root == ENVIRONMENT_FOLDER:
            yield view, f"the view's root {root} is a folder that exists already", f"take one below it, {root}/view"
        elif mounted := next((one for one in MOUNTED if _holds(one, root)), ""):
            yield view, f"nothing that an image has below {mounted} is seen in a container", "take /opt/view"
        elif install_root and (_holds(install_root, root) or _holds(root, install_root)):
            yield view, f"the view's root {root} and the install tree {install_root} lie in each other", "part them"
        elif other := next((one for one in found[:index] if _holds(one.root, root) or _holds(root, one.root)), None):
            message = f"the roots of two views, {other.root} and {root}, lie in each other"
            yield view, message, "give each view a folder of its own"


def _named(name: str, written: Any) -> EnvironmentView:
    """Spack refuses a view that has no root, which other checks tell."""
    inner = {unmarked(str(key)): value for key, value in written.items()} if isinstance(written, Mapping) else {}
    root = inner.get("root")
    return EnvironmentView(_below_environment(root) if isinstance(root, str) else "", ("view", name, "root"))


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _below_environment(path: str) -> str:
    return posixpath.join(ENVIRONMENT_FOLDER, path)
