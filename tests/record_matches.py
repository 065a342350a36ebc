"""Records which concrete specs a real Spack takes for what spec strings ask.

    spack python tests/record_matches.py LOCKFILE asked.txt matched-1.1.json

with a lockfile of tests/data/spack_ci and the files of tests/data/spack_specs.
Judged are all specs of the lockfile, and one of them with other versions, targets, variants and flags. A Spack runs
this, so nothing of this project is imported.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

Nodes = dict[str, dict[str, Any]]

_VERSIONS = ("1.2", "1.2.3", "1.12", "1.2rc1", "1.2.0-p1", "2023-05-30", "develop", "main", "1.2.develop")
_GIT_VERSIONS = ("git.main=1.2", "git.feature/x=develop", f"{'0123456789' * 4}=1.3")
_TARGETS = ("x86_64", "x86_64_v2", "haswell", "zen3", "zen4", "aarch64", "neoverse_v1", "power9le")
_PARAMETERS: tuple[dict[str, Any], ...] = (
    {"fabrics": ["ofi", "ucx"], "mode": "fast", "level": "3"},
    {"fabrics": ["ucx"], "debug": True},
    {"fabrics": ["none"], "debug": False},
    {"patches": ["0123abcd", "4567cdef"]},
    {"cflags": ["-O2", "-g"], "ldflags": ["-L /x"]},
)


def nodes_with_variations(lockfile: dict[str, Any]) -> Nodes:
    """The specs of a lockfile by DAG hash, and made-up ones."""
    nodes: Nodes = {hash_: {**node, "hash": hash_} for hash_, node in lockfile["concrete_specs"].items()}
    model = next(node for node in nodes.values() if node["name"] == "zlib-ng")
    made: list[dict[str, Any]] = []
    made += ({**model, "version": version} for version in (*_VERSIONS, *_GIT_VERSIONS))
    made += ({**model, "arch": {**model["arch"], "target": target}} for target in _TARGETS)
    made += ({**model, "parameters": {**model["parameters"], **more}} for more in _PARAMETERS)
    made.append({**model, "namespace": "own", "arch": {**model["arch"], "platform_os": "rhel9"}})
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    for number, node in enumerate(made):
        hash_ = f"{letters[number]}made{'q' * 27}"
        nodes[hash_] = {**node, "hash": hash_}
    return nodes


def matched(lockfile: dict[str, Any], texts: list[str]) -> dict[str, list[str] | str]:
    """For each text the DAG hashes of what satisfies it, or the first line of why Spack refuses it."""
    from spack.spec import Spec  # type: ignore[import-not-found]

    nodes = nodes_with_variations(lockfile)
    version = lockfile["_meta"]["specfile-version"]
    specs: dict[str, Any] = {}
    for hash_ in nodes:
        if hash_ not in specs:
            below, todo = dict[str, dict[str, Any]](), [hash_]
            while todo:
                one = todo.pop()
                if one not in below:
                    below[one] = nodes[one]
                    todo += [dependency["hash"] for dependency in nodes[one].get("dependencies", ())]
            read = Spec.from_dict({"spec": {"_meta": {"version": version}, "nodes": list(below.values())}})
            specs |= {one.dag_hash(): one for one in read.traverse()}
    found: dict[str, list[str] | str] = {}
    for text in texts:
        try:
            found[text] = sorted(hash_ for hash_, spec in specs.items() if spec.satisfies(text))
        except Exception as error:  # noqa: BLE001 - Spack refuses in many ways
            found[text] = f"{type(error).__name__}: {error}".partition("\n")[0]
    return found


def main(arguments: list[str]) -> None:
    """Judge the lines of a file."""
    lockfile = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    texts = [line for line in Path(arguments[1]).read_text(encoding="utf-8").split("\n") if line]
    result = matched(lockfile, texts)
    lines = ",\n".join(f"{json.dumps(text)}: {json.dumps(verdict)}" for text, verdict in result.items())
    Path(arguments[2]).write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
