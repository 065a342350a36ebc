"""What Spack knows of the sources of concrete specs, and fetching them. Run by `spack python`, in one of two ways:

    inside_spack.py needs ENVIRONMENT HASHES OUTPUT
        HASHES is a file with one DAG hash on each line, OUTPUT the JSON that is written: one record for each, laid
        out as `job_creator/mirrors/needs/answers.py` reads it.
    inside_spack.py fetch ENVIRONMENT FOLDER
        Each line on stdin is the JSON list [DAG hash, path]; Spack fetches that one archive, patch or resource, checks
        it, and stores it in FOLDER as in a mirror. The answer is one line of JSON, a string that says what went wrong.

ENVIRONMENT is a folder with a lockfile. This runs in Spack v0.21 to v1.1, so nothing of this project is imported here,
and nothing of Spack before it is needed.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any


def needs(folder: str, hashes_file: str, output: str) -> None:
    """Answer for all hashes; a spec that cannot be answered for says why."""
    nodes = nodes_of(folder)
    wanted = Path(hashes_file).read_text(encoding="utf-8").split()
    Path(output).write_text(json.dumps([answer(nodes[hash_]) for hash_ in wanted]), encoding="utf-8")


def fetch(folder: str, target: str) -> None:
    """Fetch what is asked for, until nobody asks any more."""
    # What Spack prints goes where its errors go, so that stdout has only the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    nodes = nodes_of(folder)
    cache = importlib.import_module("spack.caches").MirrorCache(target, skip_unstable_versions=False)
    for line in sys.stdin:
        hash_, path = json.loads(line)
        answers.write(json.dumps(fetched(nodes[hash_].package, path, cache)) + "\n")
        answers.flush()


def fetched(package: Any, path: str, cache: Any) -> str:
    """Fetch one thing; returns what went wrong."""
    problem = "the recipe does not need it any more"
    for stage in package.stage:
        if path in paths_of(stage):
            # A run that was killed may have left half of it there, which Spack would take for the whole.
            had_left_over = Path(stage.path).is_dir()
            problem = stored(stage, cache)
            if problem and had_left_over:
                problem = stored(stage, cache)
    return problem


def stored(stage: Any, cache: Any) -> str:
    """Fetch, check and store what a stage is for; returns what went wrong."""
    try:
        with stage:
            stage.cache_mirror(cache, Unheard())
    except Exception as error:  # noqa: BLE001 - whatever went wrong concerns this source only
        stage.destroy()
        # Where several places were tried, Spack's long message has a line for each.
        lines = (getattr(error, "long_message", None) or str(error)).splitlines()
        return "; ".join(line.strip() for line in lines if line.strip()) or type(error).__name__
    return ""


class Unheard:
    """Spack counts what it does; nobody wants to know."""

    def added(self, resource: str) -> None:
        """Spack says that it fetched something."""

    def already_existed(self, resource: str) -> None:
        """Spack says that it found something in a cache."""


def nodes_of(folder: str) -> dict[str, Any]:
    """All concrete specs of an environment by DAG hash, with what spliced ones were built as."""
    environment = importlib.import_module("spack.environment").Environment(folder)
    found: dict[str, Any] = {}
    left = [root for _, root in environment.concretized_specs()]
    while left:
        for node in left.pop().traverse(root=True):
            if node.dag_hash() not in found:
                found[node.dag_hash()] = node
                if node.build_spec is not node:
                    left.append(node.build_spec)
    return found


def answer(spec: Any) -> dict[str, Any]:
    """What is known of one spec."""
    record: dict[str, Any] = {
        "hash": spec.dag_hash(),
        "name": spec.name,
        "version": str(spec.version),
        "namespace": spec.namespace,
        "problem": "",
        "recipe": [],
        "sources": [],
    }
    try:
        package = spec.package
        record["recipe"] = recipe_files(type(package))
        record.update(facts(spec, package))
        record["sources"] = sources(package)
    except Exception as error:  # noqa: BLE001 - any fault of a recipe concerns that recipe only
        record["problem"] = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return record


def recipe_files(recipe: type) -> list[tuple[str, str]]:
    """The files that a recipe and what it inherits from stand in, with their sha256."""
    files: dict[str, str] = {}
    for cls in recipe.__mro__:
        path = getattr(sys.modules.get(cls.__module__), "__file__", None)
        if path and cls.__module__.startswith(("spack_repo.", "spack.pkg.", "spack.build_systems.")):
            files[os.path.realpath(path)] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return sorted(files.items())


def facts(spec: Any, package: Any) -> dict[str, Any]:
    """What may be done with a package, and how it is built."""
    may_redistribute = getattr(package, "redistribute_source", None)
    build_system = spec.variants.get("build_system")
    return {
        "is_current": spec.package_hash() == package.content_hash(),
        "licences": [str(name) for when, name in getattr(package, "licenses", {}).items() if spec.satisfies(when)],
        "may_redistribute_source": bool(may_redistribute(spec)) if may_redistribute else True,
        "may_redistribute_binary": bool(getattr(package, "redistribute_binary", True)),
        "manual": package.download_instr if package.manual_download else "",
        "build_system": str(build_system.value) if build_system else "",
        "build_tools": sorted({one.name for one in spec.dependencies(deptype="build")}),
    }


def sources(package: Any) -> list[dict[str, Any]]:
    """Archive, resources and patches that Spack fetches for a package, in this order."""
    if not package.has_code:
        return []
    return [source(stage, kind(index, stage)) for index, stage in enumerate(package.stage)]


def kind(index: int, stage: Any) -> str:
    """The kind of source that a stage is for."""
    if index == 0:
        return "archive"
    return "resource" if hasattr(stage, "resource") else "patch"


def source(stage: Any, what: str) -> dict[str, Any]:
    """One thing to fetch."""
    fetcher = getattr(stage, "default_fetcher", None)
    paths = paths_of(stage)
    if fetcher is None or not paths:
        return {"kind": what, "fetcher": "develop", "urls": [], "digest": "", "fixed": False, "paths": []}
    return {
        "kind": what,
        "fetcher": str(fetcher.url_attr or ""),
        "urls": list(getattr(fetcher, "candidate_urls", None) or [str(fetcher)]),
        "digest": getattr(fetcher, "digest", None) or "",
        "fixed": bool(fetcher.mirror_id()),
        "paths": paths,
    }


def paths_of(stage: Any) -> list[str]:
    """Where a mirror has what a stage is for, the place that Spack looks in first at the start."""
    layout = getattr(stage, "mirror_layout", None) or getattr(stage, "mirror_paths", None) or ()
    # Spack joins paths like URLs, which drops the empty components that those of repositories have.
    return [path.replace(os.sep, "/").replace("//", "/") for path in layout]


if __name__ == "__main__":
    if sys.argv[1] == "needs":
        needs(*sys.argv[2:])
    else:
        fetch(*sys.argv[2:])
