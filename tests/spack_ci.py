"""Pipelines as `spack ci generate` writes them, for graphs that tests make up."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from ruamel.yaml import YAML

from foundation.graph import BuildGraph, between
from job_creator.builds import node_step
from job_creator.engines.gitlab.generated import SPACK_RETRIES, Generated, read_generated
from tests.samples import REPOSITORY

RECORDINGS = REPOSITORY / "tests" / "data" / "spack_ci"


def spack_hash(node: str) -> str:
    """A DAG hash for a node of a made-up graph."""
    return node.rjust(32, "a")[:32]


def pipeline(
    container: str,
    edges: Mapping[str, Collection[str]],
    *,
    built: Collection[str] | None = None,
    version: str = "1.1.0",
) -> bytes:
    """What Spack writes for a graph of which only `built` is left to build."""
    todo = sorted(edges if built is None else built)
    folder = f"jobs_scratch_dir.amd64/{container}"
    names = {node: f"{node}@1.0 /{spack_hash(node)}" for node in edges}
    if version.startswith("0."):
        names = {node: f"{node}@1.0 /{spack_hash(node)[:7]} %gcc@12 arch=x-y-z {node}" for node in edges}
        # Older Spack loses the edges across what is up to date (spack#39656).
        needs = {node: set(edges[node]) & set(todo) for node in todo}
    else:
        nearest = between({node: frozenset(edges[node]) for node in edges}, todo)
        needs = {node: set(nearest[node]) for node in todo}
    shared = _shared(container)
    document: dict[str, Any] = {
        names[node]: _job(node, [names[one] for one in sorted(needs[node])], shared) for node in todo
    }
    if todo:
        document["rebuild-index"] = {
            "script": ["spack buildcache update-index --keys s3://cache-amd64"],
            "stage": "stage-rebuild-index",
            "when": "always",
            "retry": {"max": 2, "when": ["script_failure"]},
            "interruptible": True,
            "dependencies": [],
        }
        document["stages"] = ["stage-0", "stage-rebuild-index"]
        document["variables"] = {
            "SPACK_ARTIFACTS_ROOT": folder,
            "SPACK_CONCRETE_ENV_DIR": f"{folder}/concrete_environment",
            "SPACK_VERSION": f"{version} (abc)",
            "SPACK_PIPELINE_TYPE": "None",
        }
    else:
        document["no-specs-to-rebuild"] = {"script": ["echo"], "retry": 0, "allow_failure": True}
    document["workflow"] = {"rules": [{"when": "always"}]}
    return _anchored(document)


def _anchored(document: Any) -> bytes:
    """With anchors for what stands there more than once, as Spack writes it since 0.22."""
    writer: Any = YAML(typ="safe")
    writer.default_flow_style = False
    writer.width = 1 << 20
    stream = io.BytesIO()
    writer.dump(document, stream)
    return stream.getvalue()


def _shared(container: str) -> dict[str, Any]:
    folder = f"jobs_scratch_dir.amd64/{container}"
    return {
        "before_script": [
            '. "$SPACK_ROOT/share/spack/setup-env.sh"',
            'spack gpg trust "$SPACK_DEPLOYMENT_KEY_PRIVATE"',
        ],
        "script": [f"spack env activate {folder}", "spack ci rebuild"],
        "tags": ["big"],
        "artifacts": {"when": "always", "paths": [f"{folder}/logs"]},
        "retry": {"max": 2, "when": list(SPACK_RETRIES)},
        "origin": {"job": f"generate build cache population job for {container} for amd64", "pipeline": "4711"},
    }


def _job(node: str, needs: list[str], shared: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "image": "registry.example.org/builder:1",
        "before_script": shared["before_script"],
        "script": shared["script"],
        "variables": {
            "SPACK_JOB_SPEC_DAG_HASH": spack_hash(node),
            "SPACK_JOB_SPEC_PKG_NAME": node,
            "SPACK_JOB_SPEC_PKG_VERSION": "1.0",
            "SPACK_JOB_SPEC_VARIANTS": "build_system=generic",
        },
        "tags": shared["tags"],
        "needs": [*({"job": need, "artifacts": False} for need in needs), shared["origin"]],
        "artifacts": shared["artifacts"],
        "stage": "stage-0",
        "retry": shared["retry"],
        "interruptible": True,
    }


def lockfile(edges: Mapping[str, Collection[str]], groups: Mapping[str, str] | None = None) -> bytes:
    """The lockfile of a graph; with `groups`, which say the group of each root, as Spack 1.2 writes it."""
    specs = {
        spack_hash(node): {
            "name": node,
            "version": "1.0",
            "hash": spack_hash(node),
            "dependencies": [
                {"name": one, "hash": spack_hash(one), "parameters": {"deptypes": ["build", "link"], "virtuals": []}}
                for one in sorted(dependencies)
            ],
        }
        for node, dependencies in edges.items()
    }
    meta = {"file-type": "spack-lockfile", "lockfile-version": 6, "specfile-version": 5}
    roots = [{"hash": key, "spec": str(spec["name"])} for key, spec in specs.items()]
    if groups is not None:
        meta["lockfile-version"] = 7
        roots = [{**root, "group": groups[root["spec"]]} for root in roots if root["spec"] in groups]
    return json.dumps({"_meta": meta, "roots": roots, "concrete_specs": specs}).encode()


def generated(
    container: str,
    edges: Mapping[str, Collection[str]],
    *,
    built: Collection[str] | None = None,
    version: str = "1.1.0",
    locked: bool = True,
    groups: Mapping[str, str] | None = None,
    needs: Mapping[str, Collection[str]] | None = None,
) -> Generated:
    """The same, read. `groups` says the spec group of each root, `needs` what each group needs."""
    content = pipeline(container, edges, built=built, version=version)
    lock = lockfile(edges, groups) if locked else None
    specs = [
        {
            "group": group,
            "needs": sorted(needed),
            "specs": [one for one in groups or {} if (groups or {})[one] == group],
        }
        for group, needed in (needs or {}).items()
    ]
    manifest = json.dumps({"spack": {"specs": specs}}).encode() if needs is not None else None
    return read_generated(container, f"{container}/pipeline.yml", content, lock=lock, environment=manifest)


def renamed(found: Generated, rename: Callable[[str], str], container: str = "") -> Generated:
    """The same with other DAG hashes, for a container of this name if there is one."""
    old = found.builds
    name = container or old.environment
    graph = old.graph and BuildGraph(
        {rename(key): package for key, package in old.graph.packages.items()},
        {rename(key): frozenset(map(rename, inner)) for key, inner in old.graph.edges.items()},
    )
    steps = tuple(replace(step, hash=rename(step.hash), environment=name) for step in old.steps)
    needs = {rename(key): frozenset(map(rename, inner)) for key, inner in old.needs.items()}
    builds = replace(old, environment=name, steps=steps, needs=needs, graph=graph)
    return replace(found, builds=builds, jobs={rename(key): job for key, job in found.jobs.items()})


def fusable(found: Generated) -> Generated:
    """The same with jobs that run the program which can build several packages, as generated environments ask for."""
    command = (f'spack python "${{SPACK_ARTIFACTS_ROOT:?}}/{node_step.FOLDER}/{node_step.PROGRAM}"',)
    steps = tuple(replace(step, command=command) for step in found.builds.steps)
    return replace(found, builds=replace(found.builds, steps=steps))


def recording(line: str, container: str) -> Generated:
    """What a real Spack wrote."""
    folder = RECORDINGS / f"spack-{line}" / container
    beside = folder / "concrete_environment"
    return read_generated(
        container,
        f"{container}/pipeline.yml",
        (folder / "pipeline.yml").read_bytes(),
        lock=(beside / "spack.lock").read_bytes(),
        environment=(beside / "spack.yaml").read_bytes() if (beside / "spack.yaml").is_file() else None,
    )
