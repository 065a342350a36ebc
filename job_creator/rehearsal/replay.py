"""What Spack once answered, replayed: lockfiles and pipelines for a rehearsal without Spack. Pure.

The recording holds the concrete specs of the containers that this repository ships. A spec that was never recorded
becomes a package without dependencies. Formats: `environment.py` and `ci/gitlab.py` of Spack v1.1.0.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from foundation.graph import between, finish_times
from job_creator.engines.gitlab.names import HASH_VARIABLE, NAME_VARIABLE, VERSION_VARIABLE
from job_creator.environments.from_spack import write_from_spack
from job_creator.environments.marks import merge, unmarked

VERSION: Final = "1.1.0"
_NAME: Final = re.compile(r"[A-Za-z0-9_][\w.-]*")
_TOKEN: Final = re.compile(r"[@+~%^][^\s@+~%^]*|\w+==?\S+")


@dataclass(frozen=True)
class Recording:
    """Hashes of roots by what environments asked for, and nodes of lockfiles by DAG hash."""

    roots: Mapping[str, str]
    nodes: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Replayed:
    """A lockfile as values, and the specs that no recording has."""

    lock: dict[str, Any]
    unknown: tuple[str, ...]


@cache
def recording() -> Recording:
    """The recording that comes with this project."""
    content = files("job_creator.rehearsal").joinpath("recording.json.gz").read_bytes()
    value = json.loads(gzip.decompress(content))
    return Recording(value["roots"], value["concrete_specs"])


def concretized(specs: Iterable[str]) -> Replayed:
    """The lockfile of an environment with these specs."""
    recorded = recording()
    nodes: dict[str, Mapping[str, Any]] = {}
    roots: list[dict[str, str]] = []
    unknown: list[str] = []
    for spec in specs:
        hash_ = _recorded_root(spec, recorded)
        if hash_ is None:
            node = _made_up(spec)
            hash_ = node["hash"]
            nodes[hash_] = node
            unknown.append(spec)
        else:
            _add_with_dependencies(hash_, recorded.nodes, nodes)
        roots.append({"hash": hash_, "spec": spec})
    lock = {
        "_meta": {"file-type": "spack-lockfile", "lockfile-version": 6, "specfile-version": 5},
        "spack": {"version": VERSION, "type": "release"},
        "roots": roots,
        "concrete_specs": dict(sorted(nodes.items())),
    }
    return Replayed(lock, tuple(unknown))


def from_spack(lock: Mapping[str, Any]) -> bytes:
    """What Spack would say of a lockfile: its roots here are in the order of the environment's specs."""
    return write_from_spack((root["spec"], root["hash"]) for root in lock["roots"])


def specs(manifest: Mapping[str, Any]) -> list[str]:
    """The specs of an environment that are plain text; matrices and lists by name are beyond a stand-in."""
    return [spec for spec in manifest.get("specs", ()) if isinstance(spec, str)]


def build_job(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords of build jobs that the `ci:` section of an environment asks for."""
    result: dict[str, Any] = {}
    for section in reversed(manifest.get("ci", {}).get("pipeline-gen", ())):
        for kind in ("any-job", "build-job"):
            result = merge(result, section.get(kind, {}), lists_add_up=True)
    return {unmarked(key): value for key, value in result.items()}


def dependencies(node: Mapping[str, Any]) -> tuple[str, ...]:
    """The DAG hashes of the direct dependencies of a node."""
    return tuple(str(one["hash"]) for one in node.get("dependencies", ()))


def pipeline(
    lock: Mapping[str, Any], built: Collection[str], settings: Mapping[str, Any], origin: Mapping[str, str], root: str
) -> dict[str, Any]:
    """What `spack ci generate` writes for a lockfile of which some hashes are `built` already.

    `settings` are the keywords of a build job that the environment's `ci:` section asks for, `origin` is the need of
    the generating job (`job` and `pipeline`), `root` the artifacts folder, from the checkout.
    """
    nodes = {hash_: node for hash_, node in lock["concrete_specs"].items() if "external" not in node}
    edges = {hash_: frozenset(dependencies(node)) & nodes.keys() for hash_, node in nodes.items()}
    wanted = between(edges, [hash_ for hash_ in nodes if hash_ not in built])
    if not wanted:
        job = {"script": ["echo 'All specs already up to date, nothing to rebuild.'"], "retry": 0}
        return {"no-specs-to-rebuild": {**job, "allow_failure": True}, "workflow": {"rules": [{"when": "always"}]}}
    levels = {hash_: int(level) - 1 for hash_, level in finish_times(wanted, dict.fromkeys(wanted, 1.0)).items()}
    jobs = {
        _job_name(nodes[hash_]): {
            **settings,
            "variables": {
                HASH_VARIABLE: hash_,
                NAME_VARIABLE: nodes[hash_]["name"],
                VERSION_VARIABLE: str(nodes[hash_]["version"]),
                "SPACK_SPEC_NEEDS_REBUILD": "True",
            },
            "needs": [*({"job": _job_name(nodes[one]), "artifacts": False} for one in sorted(needs)), dict(origin)],
            "artifacts": {"when": "always", "paths": [f"{root}/{name}" for name in ("logs", "reproduction", "tests")]},
            "stage": f"stage-{levels[hash_]}",
            "interruptible": True,
        }
        for hash_, needs in wanted.items()
    }
    stages = [f"stage-{level}" for level in range(max(levels.values()) + 1)]
    index = {"stage": "stage-rebuild-index", "script": ["spack buildcache update-index"], "when": "always"}
    return {
        **jobs,
        "rebuild-index": {**index, "interruptible": True, "dependencies": []},
        "stages": [*stages, "stage-rebuild-index"],
        "variables": _variables(root),
        "workflow": {"rules": [{"when": "always"}]},
    }


def _variables(root: str) -> dict[str, str]:
    return {
        "SPACK_ARTIFACTS_ROOT": root,
        "SPACK_CONCRETE_ENV_DIR": f"{root}/concrete_environment",
        "SPACK_VERSION": VERSION,
        "SPACK_CHECKOUT_VERSION": f"v{VERSION}",
        "SPACK_JOB_LOG_DIR": f"{root}/logs",
        "SPACK_JOB_REPRO_DIR": f"{root}/reproduction",
        "SPACK_JOB_TEST_DIR": f"{root}/tests",
        "SPACK_PIPELINE_TYPE": "None",
        "SPACK_REBUILD_CHECK_UP_TO_DATE": "True",
        "SPACK_REBUILD_EVERYTHING": "False",
    }


def _job_name(node: Mapping[str, Any]) -> str:
    return f"{node['name']}@{node['version']} /{node['hash']}"


def _recorded_root(spec: str, recorded: Recording) -> str | None:
    """The hash of the root that was asked for in the same words, or else of the largest package of that name."""
    for text, hash_ in recorded.roots.items():
        if _words(text) == _words(spec):
            return hash_
    name = _name(spec)
    same = [hash_ for hash_, node in recorded.nodes.items() if node["name"] == name]
    return max(same, key=lambda hash_: (len(dependencies(recorded.nodes[hash_])), hash_), default=None)


def _words(spec: str) -> tuple[str, frozenset[str]]:
    """The name in a spec, and everything else in it in any order."""
    name = _name(spec)
    return name, frozenset(_TOKEN.findall(spec[len(name) :]))


def _name(spec: str) -> str:
    match = _NAME.match(spec)
    return match[0] if match else spec


def _made_up(spec: str) -> dict[str, Any]:
    version = next((word[1:].lstrip("=") for word in _TOKEN.findall(spec) if word.startswith("@")), "1.0")
    digest = hashlib.sha256(spec.encode()).digest()[:20]
    return {
        "name": _name(spec),
        "version": version,
        "arch": {"platform": "linux", "platform_os": "debian12", "target": "x86_64"},
        "namespace": "builtin",
        "package_hash": base64.b32encode(digest).decode().lower(),
        "hash": base64.b32encode(digest).decode().lower(),
    }


def _add_with_dependencies(
    hash_: str, recorded: Mapping[str, Mapping[str, Any]], nodes: dict[str, Mapping[str, Any]]
) -> None:
    pending = [hash_]
    while pending:
        one = pending.pop()
        if one not in nodes:
            nodes[one] = recorded[one]
            pending += dependencies(recorded[one])
