"""Spec strings and package indexes, held against a real Spack (see test_spack.py for which one)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from foundation.spack.grammar.parser import parse_spec
from foundation.spack.grammar.spec import AbstractSpec, Misspelt
from foundation.spack.package_index import read_package_index
from foundation.spack.program import SpackProgram
from job_creator.package_index.building import build
from tests.integration.real_spack import ROOTS
from tests.samples import REPOSITORY

WRITTEN = REPOSITORY / "tests" / "data" / "spack_specs" / "written.txt"

pytestmark = [
    pytest.mark.usefixtures("components"),
    pytest.mark.skipif(not ROOTS, reason="SPACKTAINERS_SPACK_ROOT names no Spack"),
]


@pytest.fixture(params=ROOTS)
def spack(request: pytest.FixtureRequest) -> SpackProgram:
    return SpackProgram(f"{request.param}/bin/spack")


def judged(spack: SpackProgram, texts: list[str], folder: Path, *options: str) -> dict[str, str]:
    """What this Spack says of texts, and of what `tests/record_specs.py` makes of them."""
    written, verdicts = folder / "written.txt", folder / "verdicts.json"
    written.write_text("\n".join(texts), encoding="utf-8")
    spack.python(REPOSITORY / "tests" / "record_specs.py", str(written), str(verdicts), *options)
    found: dict[str, str] = json.loads(verdicts.read_text(encoding="utf-8"))
    return found


def test_other_strings_than_the_recorded_ones_are_judged_alike(spack: SpackProgram, tmp_path: Path) -> None:
    # What names commits is left out: Spack asks the package's git server.
    texts = [line for line in WRITTEN.read_text(encoding="utf-8").split("\n") if line]
    verdicts = judged(spack, texts, tmp_path, "99", "600")
    verdicts = {text: why for text, why in verdicts.items() if not re.search(r"git\.|[0-9a-f]{40}", text)}
    line = spack.line()
    differ = [text for text, why in verdicts.items() if isinstance(parse_spec(text, line), Misspelt) != bool(why)]
    assert len(differ) <= len(verdicts) / 100, differ


def test_what_we_print_is_what_spack_accepts(spack: SpackProgram, tmp_path: Path) -> None:
    line = spack.line()
    found = (parse_spec(text, line) for text in WRITTEN.read_text(encoding="utf-8").split("\n"))
    printed = [text for one in found if isinstance(one, AbstractSpec) and (text := str(one)) and "git." not in text]
    verdicts = judged(spack, printed, tmp_path, "1", "0")
    assert {text: why for text, why in verdicts.items() if why} == {}


def test_an_index_has_what_the_package_repository_has(spack: SpackProgram) -> None:
    index = read_package_index(build(spack).content, "")
    hdf5, openmpi = index.variants_of("hdf5"), index.variants_of("openmpi")
    assert hdf5
    assert hdf5["mpi"].is_flag
    assert openmpi
    assert openmpi["fabrics"].takes_several
    assert "ucx" in (openmpi["fabrics"].values or ())
    assert {"mpi", "blas"} <= index.virtuals
    assert index.variants_of("mpi") is None
