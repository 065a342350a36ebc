"""Stands for Spack where steps of `jc build` are run by the dozen: it compiles nothing, and starts in 20 ms.

    python3 folder_spack.py FOLDER ARGUMENTS…

It understands what `run_step.py`, `build_packages.py` and `jc build` ask of Spack, with a folder as build cache. FOLDER
is where it notes each call in `calls`, and where tests say what goes wrong, by files: `fail-NAME` (it does not build),
`slow-NAME` (seconds), `compile-NAME.c` (a source to compile), `memory-NAME` (its compiler is killed the first time),
and with `look-for` whether builds see a file. `stage-NAME` is a folder that its build leaves as its stage, and
`compiler-NAME` the compiler of its spec, if that is not clang. Only the standard library is needed.
"""

import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

SPECS = "v3/manifests/spec"
INDEX = "v3/manifests/index/index.manifest.json"


def main(notes: Path, arguments: list[str]) -> int:
    scopes = []
    while arguments[0] == "-C":
        scopes.append(Path(arguments[1]))
        arguments = arguments[2:]
    words = " ".join(arguments)
    if words == "--version":
        sys.stdout.write("1.1.0\n")
        return 0
    if arguments[:2] == ["python", "-c"]:
        (Path(os.environ["SPACK_USER_CACHE_PATH"]) / "cache").mkdir(parents=True, exist_ok=True)
        return 0
    mirror = cache(scopes)
    if arguments[:2] == ["buildcache", "update-index"]:
        note(notes, "index", "")
        names = sorted(path.name for path in (mirror / SPECS).glob("*/*"))
        write(mirror, INDEX, b"", "\n".join(names).encode())
        return 0
    phase, letters, *rest = arguments[2:]
    sys.path.insert(0, str(Path(arguments[1]).parent))
    return PHASES[phase](notes, scopes[-1], mirror, letters, rest)


def cache(scopes: list[Path]) -> Path:
    mirrors = json.loads((scopes[-1] / "mirrors.yaml").read_text())["mirrors:"]
    return Path(urlsplit(mirrors["buildcache-destination"]["url"]).path)


def nodes() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads((Path(os.environ["SPACK_ENV"]) / "spack.lock").read_text())[
        "concrete_specs"
    ]
    return found


def manifest(node: dict[str, Any]) -> str:
    return f"{SPECS}/{node['name']}/{node['name']}-{node['version']}-{node['hash']}.spec.manifest.json"


def prepare(notes: Path, scope: Path, mirror: Path, letters: str, rest: list[str]) -> int:
    del scope
    node = nodes()[letters]
    note(notes, "prepare", node["name"])
    answer = ["", ""]
    if (mirror / manifest(node)).is_file() and not os.environ["SPACKTAINERS_COLLECT"]:
        answer = ["reused", f"it is in {mirror} already"]
    else:
        below = [nodes()[one["hash"]] for one in node.get("dependencies", ())]
        lacking = [one for one in below if "external" not in one and not (mirror / manifest(one)).is_file()]
        if lacking:
            names = (
                f"its dependency {one['name']}@{one['version']}/{one['hash'][:7]} was not built" for one in lacking
            )
            answer = ["skipped", "; ".join(names)]
    Path(rest[0]).write_text(json.dumps(answer))
    return 0


def build(notes: Path, scope: Path, mirror: Path, letters: str, rest: list[str]) -> int:
    del mirror, rest
    node = nodes()[letters]
    name = node["name"]
    config = json.loads((scope / "config.yaml").read_text())["config"]
    leaked = sorted(one for one in os.environ if one.startswith(("SLURM", "RAY", "FLUX", "SECRET")))
    wanted = notes / "look-for"
    more = {"found": Path(wanted.read_text()).exists()} if wanted.exists() else {}
    note(notes, "build", name, tree=config["install_tree"], jobs=config["build_jobs"], leaked=leaked, **more)
    Path(config["install_tree"]["root"], name).mkdir(parents=True, exist_ok=True)
    source = notes / f"compile-{name}.c"
    if source.exists():
        # As Spack's wrapper of compilers does it, with `config:ccache`.
        front = ["ccache"] if config.get("ccache") else []
        words = ["gcc", "-c", str(source), "-o", str(notes / f"{name}.o")]
        if subprocess.run([*front, *words], check=False).returncode != 0:
            return 1
    slow = notes / f"slow-{name}"
    if slow.exists():
        time.sleep(float(slow.read_text()))
    memory = notes / f"memory-{name}"
    if memory.exists():
        memory.unlink()
        sys.stdout.write("g++: fatal error: Killed signal terminated program cc1plus\n")
        return 1
    if (notes / f"fail-{name}").exists():
        sys.stdout.write(f"{name}: no way\n")
        return 1
    if kinds := os.environ["SPACKTAINERS_COLLECT"].split():
        collect(notes, node, kinds)
    return 0


def collect(notes: Path, node: dict[str, Any], kinds: list[str]) -> None:
    """As `package_phases.py` does it, with what stands for a spec."""
    collecting: Any = importlib.import_module("collecting")

    sys.modules["spack"] = ModuleType("spack")
    sys.modules["spack"].spack_version_info = (0, 23, 1)  # type: ignore[attr-defined]
    name = node["name"]
    stage, compiler = Path(os.environ["SPACKTAINERS_COLLECTED"]).with_name("stage"), notes / f"compiler-{name}"
    shutil.rmtree(stage, ignore_errors=True)
    shutil.copytree(notes / f"stage-{name}", stage, symlinks=True)
    spec = SimpleNamespace(
        name=name,
        version=node["version"],
        dag_hash=lambda: node["hash"],
        compiler=SimpleNamespace(name=compiler.read_text() if compiler.exists() else "clang"),
        package=SimpleNamespace(stage=SimpleNamespace(path=str(stage)), licenses={"": "MIT", "+gpl": "GPL-2.0-only"}),
        satisfies=lambda when: not when,
    )
    note(notes, "flags", name, **collecting.variables_of(spec, kinds))
    collecting.collect(spec, kinds, Path(os.environ["SPACKTAINERS_COLLECTED"]))


def push(notes: Path, scope: Path, mirror: Path, letters: str, rest: list[str]) -> int:
    del scope, rest
    node = nodes()[letters]
    note(notes, "push", node["name"], signed=os.environ["SPACK_REQUIRE_SIGNING"])
    if not (mirror / manifest(node)).is_file():
        write(mirror, manifest(node), node["hash"].encode())
    if os.environ["SPACKTAINERS_COLLECT"]:
        collecting: Any = importlib.import_module("collecting")

        collecting.push(Path(os.environ["SPACKTAINERS_COLLECTED"]), f"file://{mirror}")
    return 0


PHASES = {"prepare": prepare, "build": build, "push": push}


def write(mirror: Path, key: str, blob: bytes, data: bytes = b"") -> None:
    checksum = hashlib.sha256(blob).hexdigest()
    record = {
        "contentLength": len(blob),
        "mediaType": "application/vnd.spack.install.v2.tar+gzip",
        "compression": "gzip",
        "checksumAlgorithm": "sha256",
        "checksum": checksum,
    }
    found = mirror / "blobs" / "sha256" / checksum[:2] / checksum
    found.parent.mkdir(parents=True, exist_ok=True)
    found.write_bytes(blob)
    (mirror / key).parent.mkdir(parents=True, exist_ok=True)
    (mirror / key).write_bytes(data or json.dumps({"version": 3, "data": [record]}).encode())


def note(notes: Path, what: str, package: str, **more: object) -> None:
    line = json.dumps({"what": what, "package": package, "time": time.time(), **more})
    with (notes / "calls").open("a") as calls:
        calls.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
