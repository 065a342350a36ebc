"""What only Spack knows of an environment that it concretized, and what cannot be made of it.

    spack python inside_spack.py ENVIRONMENT OUTPUT BUILDER_LIBC RUNTIME_LIBC

OUTPUT is JSON, as `job_creator/environments/from_spack.py` reads it: `roots`, what the environment asks for, in its
order, each `{"spec", "hash"}` with the DAG hash of the root that it became; and `faults`, what would fail once all is
compiled. BUILDER_LIBC and RUNTIME_LIBC are the C libraries of the images, `glibc@2.36`, empty where nobody knows.

This runs in Spack v0.21 to v1.2, so nothing of this project is imported here, and nothing of Spack before it is needed.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SITE_MIRRORS = ("buildcache-destination", "buildcache-default-branch", "source-mirror", "binary-mirror")


def roots(environment: Any) -> list[dict[str, str]]:
    """What the environment asks for, in order. Matrices, definitions and conditions are Spack's to know."""
    made = concretized(environment)
    found = []
    for group, spec in asked_for(environment):
        # Spack keeps a spec as text where it keeps it at all, and one that it rewrote is equal, but reads otherwise.
        same = [hash_ for other, text, hash_ in made if other == group and (text == spec or str(text) == str(spec))]
        found += [{"spec": str(spec), "hash": hash_} for hash_ in same[:1]]
    return found


def asked_for(environment: Any) -> Iterator[tuple[str, Any]]:
    """Group and spec; before Spack 1.2 there are no groups."""
    if not hasattr(environment, "user_specs_by"):
        yield from (("", spec) for spec in environment.user_specs)
        return
    for group in environment.manifest.groups():
        yield from ((group, spec) for spec in environment.user_specs_by(group=group))


def concretized(environment: Any) -> list[tuple[str, Any, str]]:
    """Group, spec and DAG hash of all roots, in the order of the concretizer."""
    if hasattr(environment, "concretized_roots"):
        return [(one.group, one.root, one.hash) for one in environment.concretized_roots]
    pairs = zip(environment.concretized_user_specs, environment.concretized_order)  # noqa: B905 - also Python 3.7
    return [("", spec, hash_) for spec, hash_ in pairs]


def recipe_faults(environment: Any) -> Iterator[str]:
    """Packages whose recipes the builds of packages and of the image will not have."""
    repositories = importlib.import_module("spack.repo")
    # What Spack clones, it clones there as well.
    named = folders(importlib.import_module("spack.config").get("repos"))
    carried = folders(next((value for key, value in sections(environment) if key == "repos"), None))
    carried = {folder for folder in carried if is_in_checkout(folder)}
    nodes = {node for _, root in environment.concretized_specs() for node in root.traverse()}
    behind: dict[str, str] = {}
    for namespace, name in sorted({(node.namespace, node.name) for node in nodes}):
        try:
            repository = repositories.PATH.get_repo(namespace)
        except repositories.UnknownNamespaceError:
            repository = None
        if repository is None or not repository.exists(name):
            yield (
                f"no package repository has {namespace}.{name}, which stands in the lockfile; "
                "name its repository below 'repos:', or let 'concretizer: reuse:' be false"
            )
        elif os.path.realpath(repository.root) in named - carried and not is_in_image(repository.root):
            behind.setdefault(repository.root, name)
    for root, name in behind.items():
        yield f"the recipe of {name} is in {root}, which is not there where images are built; copy it and name the copy"


def mirror_faults() -> Iterator[str]:
    """Folders that only this job sees: what is found there is not compiled, and the build of the image looks again."""
    url = importlib.import_module("spack.util.url")
    for name, mirror in importlib.import_module("spack.config").get("mirrors").items():
        read = mirror.get("fetch", mirror.get("url", "")) if isinstance(mirror, dict) else mirror
        text = str(read.get("url", "") if isinstance(read, dict) else read)
        folder = url.local_file_path(text) or (text if text.startswith("/") else "")
        if folder and name not in SITE_MIRRORS and not is_in_image(folder):
            yield (
                f"the mirror {name} at {folder} is not there where images are built; "
                "name one that is reached by https://, s3:// or oci://"
            )


def install_tree_faults() -> Iterator[str]:
    """The text of the environment is what the build of the image reads, where variables mean something else."""
    tree = importlib.import_module("spack.config").get("config:install_tree")
    written = tree.get("root") if isinstance(tree, dict) else tree
    root = importlib.import_module("spack.store").STORE.unpadded_root
    if written != root:
        yield (
            f"packages would be installed in {root}, since the install tree is {written!r}, which is another folder "
            "where images are built; write an absolute path below 'config: install_tree: root:'"
        )


def sections(environment: Any) -> Iterator[tuple[str, Any]]:
    """The sections of the environment's own file, without the marks of their keys."""
    yield from ((key.rstrip(":+-"), value) for key, value in environment.manifest["spack"].items())


def folders(repos: Any) -> set[str]:
    """The folders that a section `repos` names, in either of its forms; it may name repositories to clone as well."""
    paths = importlib.import_module("spack.util.path")
    entries = repos.values() if isinstance(repos, dict) else repos or []
    return {os.path.realpath(paths.canonicalize_path(entry)) for entry in entries if isinstance(entry, str)}


def is_in_checkout(folder: str) -> bool:
    """Whether a folder is one of the repository that this job runs in."""
    checkout = os.environ.get("CI_PROJECT_DIR", "")
    return bool(checkout) and os.path.realpath(folder).startswith(os.path.realpath(checkout) + "/")


def is_in_image(folder: str) -> bool:
    """Whether a folder belongs to the image of this job; what a runner mounts is another file system."""
    here = Path(folder)
    return here.is_dir() and not is_in_checkout(folder) and here.stat().st_dev == Path("/").stat().st_dev


def view_faults(environment: Any) -> Iterator[str]:
    """What Spack will refuse when it makes the views."""
    concrete = [root for _, root in environment.concretized_specs()]
    for name, view in environment.views.items():
        if Path(view.raw_root).is_absolute():
            yield from occupied(name, view.root)
        shown = view_of_specs(view)
        if not hasattr(shown, "_sanity_check_view_projection"):
            continue
        try:
            shown._sanity_check_view_projection(seen_in(view, concrete))
        except importlib.import_module("spack.filesystem_view").ConflictingSpecsError as error:
            first, second = (spec.cformat("{name}{@version}{/hash:7}") for spec in error.args[:2])
            yield (
                f"the view {name} at {view.root} cannot be made: {first} and {second} would be in the same place; "
                "choose one of them with 'select:' or 'exclude:', give the view 'projections:', or unify the versions"
            )


def occupied(name: str, root: str) -> Iterator[str]:
    """Spack puts a link where a view is to be; it replaces a link or an empty folder, and nothing else."""
    path = Path(root)
    if path.is_symlink() or not path.exists():
        return
    if not path.is_dir() or any(path.iterdir()):
        yield f"the view {name} cannot be made at {root}, where the builder image has something already"


def runs_not(builder: str, runtime: str) -> Iterator[str]:
    """A C library that cannot stand for another, by Spack's rule: the same library, as old or newer.

    Source: `libc_is_compatible` in lib/spack/spack/solver/asp.py, since v0.22.
    """
    if not builder or not runtime:
        return
    version = importlib.import_module("spack.version").Version
    (needed, since), (name, has) = (library.split("@") for library in (builder, runtime))
    if name != needed or version(has) < version(since):
        yield (
            f"packages are built with {builder} of the builder image, and the runtime image has {runtime}; "
            "take a newer base for the runtime image, or an older one for the builder"
        )


def view_of_specs(view: Any) -> Any:
    """The view that Spack would fill; nothing is written."""
    return view._view(view.root) if hasattr(view, "_view") else view.view(new=view.root)


def seen_in(view: Any, concrete: list[Any]) -> list[Any]:
    """The specs that a view will show once they are installed."""
    traverse = importlib.import_module("spack.traverse")
    types = {"all": ("link", "run"), "run": ("run",)}.get(view.link, ())
    nodes = traverse.traverse_nodes(concrete, deptype=types, order="topo", key=traverse.by_dag_hash)
    shown = [node for node in nodes if node in view and not node.external]
    return view._exclude_duplicate_runtimes(shown) if hasattr(view, "_exclude_duplicate_runtimes") else shown


if __name__ == "__main__":
    # Its own toolchains and repositories are only known where it is active.
    with importlib.import_module("spack.environment").Environment(sys.argv[1]) as opened:
        wrong = [*recipe_faults(opened), *mirror_faults(), *install_tree_faults(), *view_faults(opened)]
        wrong += runs_not(*sys.argv[3:5])
        answer = {"roots": roots(opened), "faults": wrong}
    Path(sys.argv[2]).write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")
    sys.stderr.write("".join(f"{os.environ.get('CONTAINER', sys.argv[1])}: {fault}\n" for fault in wrong))
    sys.exit(1 if wrong else 0)
