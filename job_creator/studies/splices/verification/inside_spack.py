"""Makes splices in Spack. Run by `spack python inside_spack.py SPECS UNSIGNED`.

SPECS is a folder with the spec file of each binary, `<DAG hash>.json`; UNSIGNED is `yes` where no signature need be
checked. Each line on stdin is the JSON list [DAG hash of the binary, of what is replaced, of the replacement, whether
the splice is transitive]. Both are installed from the cache alone, and spliced with `Spec.splice`, as the concretizer
does it for `concretizer:splice:explicit`; nodes that it changed are rewired. The answer is one line of JSON:

    {"error": what went wrong} or
    {"prefix": of the spliced binary, "original": of the one that it was made of,
     "rewired": {prefix: of what was rewired, from which prefix}, "spec": what Spack calls it}

This runs in Spack v1.0 and v1.1, so nothing of this project is imported here, and nothing of Spack before it is needed.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any


def main(folder: str, unsigned: str) -> None:
    """Answer until nobody asks any more."""
    # What Spack prints goes where its errors go, so that stdout has only the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        try:
            answer = splice(Path(folder), *json.loads(line), unsigned=unsigned == "yes")
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever went wrong concerns this splice only
            lines = [str(error), getattr(error, "long_message", None) or ""]
            answer = {"error": "; ".join(filter(None, " ".join(lines).splitlines())) or type(error).__name__}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def splice(folder: Path, consumer: str, replaced: str, other: str, transitive: bool, *, unsigned: bool) -> Any:
    """Make one splice."""
    original, replacement = spec_of(folder, consumer), spec_of(folder, other)
    for spec in (original, replacement):
        install(spec, unsigned)
    target = next(one for one in original.traverse() if one.dag_hash() == replaced)
    if target.name != replacement.name and not replacement.package.provides(target.name):
        virtuals = {virtual for edge in target.edges_from_dependents() for virtual in edge.virtuals}
        if not virtuals or not all(replacement.package.provides(one) for one in virtuals):
            return {"error": f"{replacement.name} provides nothing that {target.name} is used for; Spack refuses that"}
    spliced = original.splice(replacement, transitive)
    importlib.import_module("spack.rewiring").rewire(spliced)
    rewired = [one for one in spliced.traverse(deptype=("link", "run")) if one.spliced]
    return {
        "prefix": str(spliced.prefix),
        "original": str(original.prefix),
        "rewired": {str(one.prefix): str(one.build_spec.prefix) for one in rewired},
        "spec": spliced.cformat("{name}@{version}/{hash:7}") if hasattr(spliced, "cformat") else str(spliced),
    }


def spec_of(folder: Path, hash_: str) -> Any:
    """A concrete spec, of the spec file of its binary."""
    value = json.loads((folder / f"{hash_}.json").read_text(encoding="utf-8"))
    spec = importlib.import_module("spack.spec").Spec.from_dict(value)
    spec._mark_concrete()
    return spec


def install(spec: Any, unsigned: bool) -> None:
    """Install from the cache alone, what is not installed yet."""
    if spec.installed:
        return
    installer = importlib.import_module("spack.installer").PackageInstaller(
        [spec.package],
        package_cache_only=True,
        dependencies_cache_only=True,
        unsigned=True if unsigned else None,
        fail_fast=True,
    )
    installer.install()


if __name__ == "__main__":
    main(*sys.argv[1:])
