"""Where an environment installs packages and makes views, as the template and a definition together say it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Final

from foundation.errors import Fault
from foundation.yaml_io import Location
from job_creator.checks.environment_file import EnvironmentFile
from job_creator.definitions.paths import PathKind, read_path
from job_creator.environments.install_tree import install_tree
from job_creator.environments.marks import unmarked
from job_creator.environments.views import ENVIRONMENT_FOLDER, MOUNTED, PLAIN_PATH, STANDARD_FOLDERS, views
from job_creator.environments.views import what_is_wrong as wrong_views

_ROOT: Final[Location] = ("config", "install_tree", "root")
_READ_FROM: Final = frozenset({"extensions", "license_dir", "ssl_certs", "template_dirs"})
"""Options of `config` that name files, or folders with something in them."""
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


def config_path_faults(file: EnvironmentFile) -> Iterator[Fault]:
    """Folders that Spack would look for beside the environment, which does not stay where it was written."""
    folder = posixpath.dirname(file.document.path)
    for key, config in file.section.items():
        for option, value in config.items() if unmarked(key) == "config" and isinstance(config, Mapping) else ():
            if unmarked(str(option)) not in _READ_FROM:
                continue
            for text in value if isinstance(value, list) else [value]:
                if not isinstance(text, str) or text.startswith("$CI_PROJECT_DIR"):
                    continue
                if read_path(text, folder).kind in (PathKind.REPOSITORY, PathKind.OUTSIDE):
                    message = f"{text!r} is looked for beside the environment, which is moved from job to job"
                    yield file.fault((key, option), message, "begin it with $CI_PROJECT_DIR, the top of the repository")
