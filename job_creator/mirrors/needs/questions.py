"""What Spack says that concrete specs need, asked by one script, and remembered.

An answer depends on the spec, which its DAG hash stands for, and on the recipe and what it inherits from. The hash that
Spack has of a recipe (`package_hash`) leaves out its directives, and with them URLs, resources and licences; so an
answer is kept with the checksums of the files that it came from, and holds while those files have them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from foundation.doors.files import read_file, write_files
from foundation.doors.processes import ProcessError
from foundation.errors import CouldNotAskError, FileAccessError
from foundation.spack.lockfile import Lockfile, flattened, read_lockfile
from foundation.spack.program import SpackProgram
from foundation.spack.source_needs import SourceNeeds
from foundation.stores.documents import json_of
from job_creator.mirrors.needs.answers import package_needs
from job_creator.mirrors.needs.plan import built_specs

_VERSION: Final = 1
_SECONDS: Final = 3600.0
"""For thousands of specs, and for the index of all patches, which Spack makes when it is first asked."""
_PLACES: Final = (
    "SPACK_USER_CACHE_PATH",
    "SPACK_USER_CONFIG_PATH",
    "SPACK_SYSTEM_CONFIG_PATH",
    "SPACK_DISABLE_LOCAL_CONFIG",
)
"""Variables that decide which recipes a Spack uses."""

logger = logging.getLogger(__name__)

Answer = Mapping[str, Any]


@dataclass(frozen=True)
class Lock:
    """A lockfile: where it is or came from, its bytes, and what they mean."""

    place: str
    content: bytes
    lockfile: Lockfile


def read_lock(path: Path) -> Lock:
    """Read a lockfile. Raises `InvalidInputError` and `FileAccessError`."""
    content = read_file(path)
    return Lock(str(path), content, read_lockfile(content, str(path)))


def ask(spack: SpackProgram, locks: Sequence[Lock], cache_folder: Path, environment: Mapping[str, str]) -> SourceNeeds:
    """The needs of all packages of some lockfiles. Raises `CouldNotAskError`."""
    specs = built_specs(lock.lockfile for lock in locks)
    kept = cache_folder / "needs" / f"{_key(spack, environment)}.json"
    recipes = _Recipes()
    answers = {
        hash_: answer for hash_, answer in _read(kept).items() if hash_ in specs and recipes.are_those_of(answer)
    }
    asked: dict[str, Answer] = {}
    for lock in locks:
        unknown = [hash_ for hash_ in specs if hash_ in lock.lockfile.specs and hash_ not in {*answers, *asked}]
        if unknown:
            logger.info("asking Spack what %d packages of %s need", len(unknown), lock.place)
            asked |= _ask(spack, lock, unknown)
    found = {**answers, **asked}
    try:
        needs = SourceNeeds({hash_: package_needs(found[hash_], spec) for hash_, spec in specs.items()})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        # Recipes run where the answers are written, and could write anything.
        raise CouldNotAskError(f"what Spack said of the recipes cannot be read: {error!r}") from None
    if asked:
        _keep(kept, asked)
    return needs


def write_environment(folder: Path, locks: Sequence[Lock]) -> None:
    """Make an environment of the packages of all lockfiles, in which Spack finds each of them by its DAG hash."""
    content = json.loads(flattened(locks[0].content, locks[0].place))
    for lock in locks[1:]:
        other = json.loads(flattened(lock.content, lock.place))
        content["concrete_specs"] |= other["concrete_specs"]
        known = {root["hash"] for root in content["roots"]}
        content["roots"] += [root for root in other["roots"] if root["hash"] not in known]
    write_files(folder, {"spack.yaml": b"spack:\n  specs: []\n", "spack.lock": json.dumps(content).encode()})


def _ask(spack: SpackProgram, lock: Lock, hashes: Sequence[str]) -> dict[str, Answer]:
    with tempfile.TemporaryDirectory(prefix="jc-mirror-") as name:
        folder = Path(name)
        write_environment(folder / "environment", [lock])
        write_files(folder, {"hashes": "\n".join(hashes).encode()})
        try:
            spack.python(
                SCRIPT,
                "needs",
                *(str(folder / one) for one in ("environment", "hashes", "answers")),
                seconds=_SECONDS,
            )
            answers: list[Answer] = json_of(read_file(folder / "answers"))
            return {answer["hash"]: answer for answer in answers}
        except (ProcessError, ValueError, KeyError, TypeError) as error:
            raise CouldNotAskError(f"{lock.place}: Spack could not say what it needs: {error}") from None


def _key(spack: SpackProgram, environment: Mapping[str, str]) -> str:
    program = shutil.which(spack.program) or spack.program
    places = [(name, {**environment, **spack.variables}.get(name)) for name in _PLACES]
    script = hashlib.sha256(read_file(SCRIPT)).hexdigest()
    return hashlib.sha256(
        json.dumps([str(Path(program).resolve()), [str(path) for path in spack.scopes], places, script]).encode()
    ).hexdigest()[:16]


def _read(path: Path) -> dict[str, Answer]:
    with suppress(FileAccessError, ValueError, KeyError, TypeError):
        value = json_of(read_file(path))
        if value["version"] == _VERSION:
            return dict(value["answers"])
    return {}


def _keep(path: Path, asked: Mapping[str, Answer]) -> None:
    """Remember answers. Where nothing can be remembered, Spack is asked again."""
    known = {hash_: answer for hash_, answer in asked.items() if not answer["problem"]}
    # Read once more: others may have asked as well, and at worst they ask again.
    content = json.dumps({"version": _VERSION, "answers": {**_read(path), **known}})
    try:
        write_files(path.parent, {path.name: content.encode()})
    except FileAccessError as error:
        logger.warning("%s; Spack will be asked again next time", error)


class _Recipes:
    """The checksums of recipes, each of which is read once."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def are_those_of(self, answer: Answer) -> bool:
        """Whether the files that an answer came from are still what they were."""
        return all(self._sha256(path) == checksum for path, checksum in answer["recipe"])

    def _sha256(self, path: str) -> str:
        if path not in self._known:
            try:
                self._known[path] = hashlib.sha256(read_file(Path(path))).hexdigest()
            except FileAccessError:
                self._known[path] = ""
        return self._known[path]


SCRIPT: Final = Path(__file__).parent / "inside_spack.py"
