"""A Spack that makes splices in a store of its own, which is removed with everything else afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from foundation.doors.files import write_files
from foundation.doors.processes import ProcessError
from foundation.errors import NotReadyError, RefusedError
from foundation.spack.program import SpackProgram
from job_creator.studies.binaries import CachedBinary
from job_creator.studies.splices.prediction.verdicts import Prediction

SCRIPT: Final = Path(__file__).parent / "inside_spack.py"


@dataclass(frozen=True, slots=True)
class MadeSplice:
    """A splice that was made; `error` says why it was not."""

    prefix: str = ""
    original: str = ""
    """The prefix of the binary that it was made of."""
    rewired: Mapping[str, str] | None = None
    """From which prefix each of the prefixes was made that the splice changed."""
    error: str = ""


@dataclass(frozen=True)
class SpliceSettings:
    """How Spack is to work: its program, more configuration, the cache, and whether signatures may be missing."""

    program: str
    scopes: tuple[Path, ...]
    mirror: str
    """Its URL."""
    is_unsigned: bool


Maker = Callable[[Prediction], MadeSplice]


@contextmanager
def splicing(
    settings: SpliceSettings, workplace: Path, binaries: Mapping[str, CachedBinary], predictions: Sequence[Prediction]
) -> Iterator[Maker]:
    """A Spack that makes splices, one after the other; each binary is installed once, below `workplace`.

    Raises `NotReadyError` if it cannot be started, as the function does where it ends too early, and `RefusedError`
    for a release whose splices are not known.
    """
    wanted = {hash_ for one in predictions for hash_ in (one.consumer.hash, one.replacement.hash)}
    specs = {f"{hash_}.json": json.dumps(_spec(binaries[hash_])).encode() for hash_ in wanted if hash_ in binaries}
    write_files(workplace / "specs", specs)
    write_files(workplace / "scope", _configuration(settings, workplace))
    spack = SpackProgram(settings.program, {"SPACK_DISABLE_LOCAL_CONFIG": "1"}, settings.scopes)
    _require_known(spack)
    signed = "yes" if settings.is_unsigned else "no"
    log = workplace / "spack.log"
    # Spack takes the last scope for the strongest, so that nothing is installed anywhere else.
    with spack.with_scope(workplace / "scope").talk(SCRIPT, str(workplace / "specs"), signed, log=log) as answer:
        yield lambda prediction: _made(answer, prediction)


def _require_known(spack: SpackProgram) -> None:
    try:
        line = spack.line()
    except ProcessError as error:
        raise NotReadyError(str(error)) from None
    except ValueError as error:
        raise RefusedError(f"{spack.program}: {error}") from None
    if not line.compilers_are_dependencies:
        raise RefusedError(f"{spack.program}: is of the line {line}; splices are made with Spack 1.x")


def _spec(binary: CachedBinary) -> dict[str, Any]:
    return {"spec": {"_meta": {"version": binary.spec.version}, "nodes": list(binary.spec.nodes)}}


def _configuration(settings: SpliceSettings, workplace: Path) -> dict[str, bytes]:
    """JSON is YAML as well. A store of its own, no other store below it, and the cache as the only mirror."""
    config = {
        "install_tree": {"root": str(workplace / "store")},
        "build_stage": [str(workplace / "stage")],
        "source_cache": str(workplace / "sources"),
    }
    return {
        "config.yaml": json.dumps({"config": config}).encode(),
        "mirrors.yaml": json.dumps({"mirrors:": {"cache": {"url": settings.mirror, "source": False}}}).encode(),
        "upstreams.yaml": json.dumps({"upstreams:": {}}).encode(),
    }


def _made(answer: Callable[[str], str], one: Prediction) -> MadeSplice:
    asked = [one.consumer.hash, one.replaced.hash, one.replacement.hash, one.is_transitive]
    try:
        value = json.loads(answer(json.dumps(asked)))
    except ProcessError as error:
        raise NotReadyError(f"Spack ended while it made a splice: {error}") from None
    if "error" in value:
        return MadeSplice(error=str(value["error"]))
    return MadeSplice(value["prefix"], value["original"], value["rewired"])
