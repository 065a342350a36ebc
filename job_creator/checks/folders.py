"""Where an environment installs packages and makes views, as the template and a definition together say it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Final

from foundation.errors import Fault
from foundation.yaml_io import Location
from job_creator.checks.environment_file import EnvironmentFile
from job_creator.definitions.paths import CHECKOUT, PathKind, read_path
from job_creator.environments.install_tree import install_tree
from job_creator.environments.marks import EACH, found_at
from job_creator.environments.views import ENVIRONMENT_FOLDER, MOUNTED, PLAIN_PATH, STANDARD_FOLDERS, views
from job_creator.environments.views import what_is_wrong as wrong_views

_ROOT: Final[Location] = ("config", "install_tree", "root")
_READ: Final = (
    *(("config", option) for option in ("extensions", "license_dir", "ssl_certs", "template_dirs")),
    ("bootstrap", "root"),
    ("bootstrap", "sources", EACH, "metadata"),
)
"""Where sections name files, or folders with something in them."""
_METADATA: Final = "metadata.yaml"
"""What a folder has that says where Spack gets its solver (lib/spack/spack/bootstrap/core.py)."""
_EXAMPLE: Final = "set an absolute path, such as /opt/software"


def install_tree_faults(file: EnvironmentFile) -> Iterator[Fault]:
    """The install tree has to be at one absolute path in every place."""
    if not file.is_whole:
        return
    tree = install_tree(file.merged.get("config"))
    root = tree.get("root")
    location = _ROOT if "root" in tree else _ROOT[:2]
    if root is None:
        yield file.fault_of_merged(_ROOT, "'config: install_tree: root' is missing", _EXAMPLE)
    elif not isinstance(root, str) or not PLAIN_PATH.fullmatch(root) or root != posixpath.normpath(root):
        yield file.fault_of_merged(location, f"the install tree {root!r} is no path that all places share", _EXAMPLE)
    elif root in (*STANDARD_FOLDERS, *MOUNTED, ENVIRONMENT_FOLDER) or root.startswith(f"{ENVIRONMENT_FOLDER}/"):
        yield file.fault_of_merged(location, f"the install tree {root} is a folder that holds other things", _EXAMPLE)


def view_faults(file: EnvironmentFile) -> Iterator[Fault]:
    """Views whose root exists before they are made, that nobody would see, or that lie in each other."""
    if not file.is_whole:
        return
    root = install_tree(file.merged.get("config")).get("root")
    found = views(file.merged.get("view"))
    for view, message, hint in wrong_views(found, root if isinstance(root, str) else ""):
        yield file.fault_of_merged(view.location, message, hint)


def path_faults(file: EnvironmentFile) -> Iterator[Fault]:
    """Folders that Spack would look for beside the environment, which does not stay where it was written."""
    folder = posixpath.dirname(file.document.path)
    for location, text in paths_read(file):
        found = read_path(text, folder)
        is_metadata = location[-1] == "metadata"
        if text.startswith(CHECKOUT):
            if is_metadata and not (file.root / found.path / _METADATA).is_file():
                yield file.fault(location, f"{found.path} describes no source of Spack's solver; it has no {_METADATA}")
        elif found.kind in (PathKind.REPOSITORY, PathKind.OUTSIDE):
            message = f"{text!r} is looked for beside the environment, which is moved from job to job"
            yield file.fault(location, message, f"begin it with {CHECKOUT}, the top of the repository")
        elif found.kind is PathKind.URL and is_metadata:
            message = f"{text!r} is a URL, and Spack reads this from a folder"
            yield file.fault(location, message, f"name a folder with {_METADATA}; 'url' in that file may be one")


def reuse_faults(file: EnvironmentFile) -> Iterator[Fault]:
    """Environments whose packages are to be reused, and which no job would find."""
    for location, path in environments_reused(file):
        if path is None:
            message = "this reuses what the environment has been concretized to, and jobs begin without a lockfile"
            yield file.fault(location, message, "remove it", of_key=True)
        elif "$" in path or read_path(path, "").kind is not PathKind.ABSOLUTE:
            message = f"{path!r} is looked for where Spack is started, or among environments that it keeps"
            hint = "name the folder of an environment in the builder image, such as /opt/environments/base"
            yield file.fault((*location, "path"), message, hint)


def paths_read(file: EnvironmentFile) -> Iterator[tuple[Location, str]]:
    """Every path below `config` and `bootstrap` by which Spack looks for something that has to be there."""
    for path in _READ:
        for location, value in found_at(file.section, path):
            listed = value if isinstance(value, list) else [value]
            yield from ((location, one) for one in listed if isinstance(one, str))


def environments_reused(file: EnvironmentFile) -> Iterator[tuple[Location, str | None]]:
    """The entries of `concretizer: reuse: from:` that are environments, with the path of each if it has one.

    Source: lib/spack/spack/solver/reuse.py of Spack v1.1, and `as_env_dir` in environment/environment.py.
    """
    for location, entry in found_at(file.section, ("concretizer", "reuse", "from", EACH)):
        if isinstance(entry, Mapping) and entry.get("type") == "environment":
            path = entry.get("path")
            yield location, path if isinstance(path, str) else None
