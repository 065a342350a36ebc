"""A stand-in for Spack, for rehearsals and tests: it understands what the generated jobs ask of Spack, and no more.

It compiles nothing. What it pushes is a real build cache that holds nothing worth installing.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from foundation.doors.files import read_file, write_files
from foundation.errors import DamagedError, Fault, InvalidInputError, RefusedError
from foundation.spack.layout_v3 import read_manifest, spec_blob
from foundation.spack.lockfile import read_lockfile
from foundation.spack.specs import read_spec_file
from foundation.stores.bucket import S3Store
from foundation.stores.opening import open_store
from foundation.stores.s3_client import endpoint_of, parse_s3_url
from foundation.stores.schemes import FOLDER, kind_of, path_of
from foundation.stores.store import Content, Store, read_all
from foundation.yaml_io import dump, load
from job_creator.builds import node_step
from job_creator.environments.mirror_names import DESTINATION
from job_creator.rehearsal import replay
from job_creator.rehearsal.shell import binaries

FAIL_VARIABLE: Final = "REHEARSAL_FAIL"
"""Names of containers that do not concretize and of packages that do not build, to see what comes of that."""
NOTICE: Final = "stand-in for Spack: nothing is compiled"
LAUNCHER: Final = f"""\
#!/bin/sh
case "$*" in
  # Programs of jobs, which ask this stand-in for what only Spack knows.
  "python "*/{node_step.PROGRAM}* | "python "*/{node_step.APART}*)
    shift
    exec {shlex.quote(sys.executable)} "$@" ;;
esac
exec jc stand-in-spack "$@"
"""
"""The program `spack` of a rehearsal."""
_GENERATED: Final = "Written by a stand-in for Spack."

Say = Callable[[str], None]


def run(arguments: Sequence[str], environment: Mapping[str, str], say: Say) -> None:
    """Do what a command line of Spack asks for. Raises `RefusedError` for what the stand-in does not know."""
    say(f"{NOTICE}: spack {' '.join(arguments)}")
    for words, command in _COMMANDS.items():
        if tuple(arguments[: len(words)]) == words:
            command(arguments[len(words) :], environment, say)
            return
    raise RefusedError(f"spack {' '.join(arguments)}: the stand-in for Spack does not know this")


def credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """The keys of the mirror that the active environment pushes to, as S3 clients look for them.

    Raises `RefusedError` if the mirror names variables that are not set.
    """
    if "SPACK_ENV" not in environment:
        return {}
    mirror = _environment(environment)["mirrors"][DESTINATION]
    if not isinstance(mirror, Mapping):
        return {}
    pair = mirror.get("push", mirror).get("access_pair", {})
    names = {"AWS_ACCESS_KEY_ID": pair.get("id_variable"), "AWS_SECRET_ACCESS_KEY": pair.get("secret_variable")}
    unset = sorted(name for name in names.values() if name and not environment.get(name))
    if unset:
        raise RefusedError(f"the mirror {DESTINATION} needs the variables {' and '.join(unset)}, which are not set")
    return {name: environment[variable] for name, variable in names.items() if variable}


def _trust(arguments: Sequence[str], environment: Mapping[str, str], say: Say) -> None:
    del environment
    read_file(Path(arguments[0]))
    say("the stand-in signs nothing")


def _list_keys(arguments: Sequence[str], environment: Mapping[str, str], say: Say) -> None:
    """`spack gpg list --trusted` or `--signing`: the one key that there always is."""
    del environment
    say(f"{'sec' if '--signing' in arguments else 'pub'}   the stand-in")


def _generate(arguments: Sequence[str], environment: Mapping[str, str], say: Say) -> None:
    """`spack ci generate`: concretize, look what the cache has, write the rest as a pipeline."""
    root, output = map(Path, arguments)
    container = environment.get("CONTAINER", "")
    if container in _failing(environment):
        raise InvalidInputError([Fault(f"{container}/spack.yaml", 1, 1, "cannot be concretized (as asked for)")])
    manifest = _environment(environment)
    replayed = replay.concretized(replay.specs(manifest))
    for spec in replayed.unknown:
        say(f"{spec!r} is not on record: taken for a package without dependencies")
    built = _built(_store(manifest, environment))
    origin = {"job": environment["CI_JOB_NAME"], "pipeline": environment["CI_PIPELINE_ID"]}
    folder = root.relative_to(environment["CI_PROJECT_DIR"]).as_posix()
    document = replay.pipeline(replayed.lock, built, replay.build_job(manifest), origin, folder)
    lock = json.dumps(replayed.lock, indent=1).encode()
    write_files(root / "concrete_environment", {"spack.lock": lock, "spack.yaml": dump({"spack": manifest}).encode()})
    write_files(output.parent, {output.name: dump(document, _GENERATED).encode()})
    packages = sum("external" not in node for node in replayed.lock["concrete_specs"].values())
    say(f"{packages} packages; the build cache has {len(built)}")


def _python(arguments: Sequence[str], environment: Mapping[str, str], say: Say) -> None:
    """`spack python SCRIPT …`: what jobs have Spack run."""
    script, *rest = arguments
    if Path(script).name == node_step.PHASES:
        _PHASES[rest[0]](rest[1:], environment, say)
    else:
        _answer(rest)


def _answer(arguments: Sequence[str]) -> None:
    """ENVIRONMENT OUTPUT LIBC LIBC: what the job of an environment asks Spack."""
    output = Path(arguments[1])
    write_files(output.parent, {output.name: replay.from_spack(json.loads(read_file(output.parent / "spack.lock")))})


def _prepare(arguments: Sequence[str], environment: Mapping[str, str], say: Say) -> None:
    """Whether the package is in the cache, or else whether its dependencies are."""
    _, node, nodes = _node(environment)
    store = _store(_environment(environment), environment)
    answer = ["", ""]
    if store.read(binaries.manifest_key(node)) is not None:
        answer = ["reused", f"it is in {store.url} already"]
    else:
        needed = [nodes[one] for one in replay.dependencies(node) if "external" not in nodes[one]]
        missing = [one for one in needed if store.read(binaries.manifest_key(one)) is None]
        facts = [f"its dependency {one['name']}@{one['version']}/{one['hash'][:7]} was not built" for one in missing]
        answer = ["skipped", "; ".join(facts)] if facts else answer
    say(" ".join(answer) or "everything that it needs is in the build cache")
    path = Path(arguments[1])
    write_files(path.parent, {path.name: json.dumps(answer).encode()})


def _build(arguments: Sequence[str], environment: Mapping[str, str], say: Say) -> None:
    del arguments, say
    if environment["SPACK_JOB_SPEC_PKG_NAME"] in _failing(environment):
        raise RefusedError(f"{environment['SPACK_JOB_SPEC_PKG_NAME']} does not build (as asked for)")


def _push(arguments: Sequence[str], environment: Mapping[str, str], say: Say) -> None:
    del arguments
    hash_, node, nodes = _node(environment)
    store = _store(_environment(environment), environment)
    for key, content in binaries.entry(hash_, nodes):
        store.write(key, content)
    say(f"pushed {node['name']}@{node['version']}/{hash_[:7]}")


_PHASES: Final = {"generate": _generate, "prepare": _prepare, "build": _build, "push": _push}


def _node(environment: Mapping[str, str]) -> tuple[str, Mapping[str, Any], Mapping[str, Any]]:
    """The package that a job, or one of its phases, is about: its DAG hash, its node, and all nodes by DAG hash."""
    nodes = json.loads(read_file(Path(environment["SPACK_ENV"]) / "spack.lock"))["concrete_specs"]
    (hash_,) = (one for one in nodes if one.startswith(environment["SPACK_JOB_SPEC_DAG_HASH"]))
    return hash_, nodes[hash_], nodes


def _update_index(arguments: Sequence[str], environment: Mapping[str, str], say: Say) -> None:
    """`spack buildcache update-index --keys URL`, or `--force --name VIEW URL FOLDER` for what a lockfile has."""
    view = arguments[arguments.index("--name") + 1] if "--name" in arguments else ""
    store = S3Store(parse_s3_url(arguments[-2 if view else -1]), endpoint_of(environment))
    manifests = [one.key for one in store.list(binaries.SPEC_MANIFESTS)]
    nodes = [_node_of(store, content.data) for _, content in read_all(store, manifests) if content is not None]
    if view:
        path = Path(arguments[-1]) / "spack.lock"
        wanted = read_lockfile(read_file(path), str(path)).specs
        nodes = [node for node in nodes if node["hash"] in wanted]
    for key, content in binaries.index(nodes, view):
        store.write(key, content)
    say(f"the {f'view {view}' if view else 'index'} lists {len(nodes)} specs")


def _node_of(store: Store, manifest: bytes) -> Mapping[str, Any]:
    blob = spec_blob(read_manifest(Content(manifest, ""), "manifest"))
    content = store.read(blob.key) if blob else None
    if blob is None or content is None:
        raise DamagedError(f"{store.url}: a manifest leads nowhere")
    return next(iter(read_spec_file(binaries.unpacked(content.data), blob.key).nodes))


_COMMANDS: Final[Mapping[tuple[str, ...], Callable[[Sequence[str], Mapping[str, str], Say], None]]] = {
    ("gpg", "trust"): _trust,
    ("gpg", "list"): _list_keys,
    ("python",): _python,
    ("buildcache", "update-index"): _update_index,
}


def _failing(environment: Mapping[str, str]) -> list[str]:
    return environment.get(FAIL_VARIABLE, "").split()


def _environment(environment: Mapping[str, str]) -> dict[str, Any]:
    path = Path(environment["SPACK_ENV"]) / "spack.yaml"
    value: dict[str, Any] = load(read_file(path), str(path))["spack"]
    return value


def _store(manifest: Mapping[str, Any], environment: Mapping[str, str]) -> Store:
    """The mirror that is pushed to, with the keys in the variables that it names."""
    mirror = manifest["mirrors"][DESTINATION]
    mirror = mirror.get("push", mirror) if isinstance(mirror, Mapping) else mirror
    url = mirror["url"] if isinstance(mirror, Mapping) else str(mirror)
    endpoint = mirror.get("endpoint_url") if isinstance(mirror, Mapping) else None
    if kind_of(url) is FOLDER:
        Path(path_of(url)).mkdir(parents=True, exist_ok=True)
    return open_store(url, endpoint, environment)


def _built(store: Store) -> frozenset[str]:
    names = (one.key.rpartition("/")[2] for one in store.list(binaries.SPEC_MANIFESTS))
    return frozenset(name.removesuffix(".spec.manifest.json").rpartition("-")[2] for name in names)
