"""A Spack that concretizes without a solver: what becomes of a spec, its name says.

`nosuch-*` is an unknown package, `impossible-*` has no solution, `slow-*` takes minutes, as does a process that it
starts, `forking-*` waits for such a process, `dying-*` ends the process; all others get a lockfile after some
milliseconds. It writes down in `solves` who solved what, and with which cache.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.programs import write_program

_PROGRAM: Final = """\
import os, runpy, sys
from pathlib import Path

given = sys.argv[1:]
sys.path.insert(0, str(Path(__file__).parent.parent / "lib"))
if given == ["--version"]:
    print("1.1.0")
    raise SystemExit
sys.argv = given[given.index("python") + 1 :]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
_REPO: Final = """\
import os
from pathlib import Path

class Repositories:
    repos = ()

    def all_package_names(self):
        return []

    @property
    def provider_index(self):
        cache = Path(os.environ["SPACK_USER_CACHE_PATH"])
        (cache / "index").write_text("made by one")
        with open(Path(__file__).parent.parent.parent / "warmed", "a") as log:
            log.write("once\\n")

    tag_index = None

PATH = Repositories()
"""
_ENVIRONMENT: Final = """\
import json, multiprocessing, os, time
from pathlib import Path

HERE = Path(__file__).parent.parent.parent

class SpecError(Exception): ...
class UnsatisfiableSpecError(SpecError): ...
class UnknownPackageError(SpecError): ...

class Environment:
    def __init__(self, folder):
        self.folder = Path(folder)
        from ruamel.yaml import YAML
        self.section = YAML(typ="safe", pure=True).load((self.folder / "spack.yaml").read_text())["spack"]
        self.user_specs = []
        for one in self.section.get("specs", []):
            rows = one["matrix"] if isinstance(one, dict) else [[one]]
            texts = [""]
            for row in rows:
                texts = [f"{text} {more}".strip() for text in texts for more in row]
            self.user_specs += texts

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def concretize(self):
        print("a line that is no answer")
        warm = (Path(os.environ["SPACK_USER_CACHE_PATH"]) / "index").is_file()
        with open(HERE / "solves", "a") as log:
            log.write(json.dumps([os.getpid(), warm, self.user_specs, self.section["concretizer"]["unify"]]) + "\\n")
        for text in self.user_specs:
            if text.startswith("forking"):
                # As where Spack looks at compilers: a process of its own, which begins by closing stdin.
                multiprocessing.get_context("fork").Pool(1).map(abs, [1])
            if text.startswith("slow"):
                os.fork() or time.sleep(300)
                time.sleep(300)
            if text.startswith("dying"):
                os._exit(7)
            if text.startswith("nosuch"):
                raise UnknownPackageError(f"Package '{text}' not found.")
            if text.startswith("impossible"):
                raise UnsatisfiableSpecError(f"cannot satisfy {text} with https://me:word@example.org")
            time.sleep(float(os.environ.get("SOLVING_SECONDS", "0.01")))

    def write(self, regenerate):
        names = [text.partition("@")[0].partition("+")[0].split()[0] for text in self.user_specs]
        keys = [name.rjust(32, "a")[:32] for name in names]
        roots = [{"hash": key, "spec": text} for key, text in zip(keys, self.user_specs)]
        specs = {key: {"name": name, "version": "1", "hash": key} for key, name in zip(keys, names)}
        meta = {"file-type": "spack-lockfile", "lockfile-version": 6, "specfile-version": 5}
        lock = {"_meta": meta, "roots": roots, "concrete_specs": specs}
        (self.folder / "spack.lock").write_text(json.dumps(lock))
"""
_BOOTSTRAP: Final = "def root_path():\n    return '/opt/bootstrap'\n"


def solving_spack(root: Path) -> Path:
    """Its program."""
    modules = {
        "__init__": "spack_version = '1.1.0'\n",
        "repo": _REPO,
        "environment": _ENVIRONMENT,
        "bootstrap/__init__": "",
        "bootstrap/config": _BOOTSTRAP,
    }
    for name, text in modules.items():
        path = root / "lib" / "spack" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "bin").mkdir()
    write_program(root / "bin" / "spack", _PROGRAM)
    return root / "bin" / "spack"
