"""Spec strings and package indexes, held against a real Spack (see test_spack.py for which one)."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest

from foundation.spack.grammar.concrete import concrete_node
from foundation.spack.grammar.matching import Matcher
from foundation.spack.grammar.parser import parse_spec
from foundation.spack.grammar.spec import AbstractSpec, Misspelt
from foundation.spack.package_index import read_package_index
from foundation.spack.program import SpackProgram
from job_creator.package_index.building import build
from tests.integration.real_spack import ROOTS
from tests.record_matches import nodes_with_variations
from tests.samples import REPOSITORY

DATA = REPOSITORY / "tests" / "data"
WRITTEN = DATA / "spack_specs" / "written.txt"

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


def test_specs_are_held_against_concrete_ones_as_spack_does(spack: SpackProgram, tmp_path: Path) -> None:
    """Other questions than the recorded ones: pieces of specs, put together."""
    line = spack.line()
    lockfile = DATA / "spack_ci" / f"spack-{line}" / "hdf5-tools" / "concrete_environment" / "spack.lock"
    if not lockfile.exists():
        pytest.skip(f"no lockfile of Spack {line} is recorded")
    chance = random.Random(17)
    pieces = (("", "zlib-ng", "hdf5"), ("", "@1.2", "@2:", "@:1.12"), ("", "+shared", "~debug"))
    ends = ("", " target=x86_64_v3:", " target=:zen3", " %gcc@12", " ^zlib-ng@2", " ^mpich", " os=debian12", " ^perl")
    texts = ["".join(map(chance.choice, pieces)) + chance.choice(ends) for _ in range(60)]
    texts = [text.strip() for text in dict.fromkeys(texts) if text.strip()]
    (tmp_path / "asked.txt").write_text("\n".join(texts), encoding="utf-8")
    script = REPOSITORY / "tests" / "record_matches.py"
    spack.python(script, str(lockfile), str(tmp_path / "asked.txt"), str(tmp_path / "matched.json"))
    nodes = nodes_with_variations(json.loads(lockfile.read_text(encoding="utf-8")))
    concrete = {hash_: concrete_node(node) for hash_, node in nodes.items()}
    matcher = Matcher(line, concrete.get, {one.name for one in concrete.values()})
    for text, theirs in json.loads((tmp_path / "matched.json").read_text(encoding="utf-8")).items():
        asked = parse_spec(text, line)
        assert isinstance(asked, AbstractSpec), text
        assert sorted(hash_ for hash_, one in concrete.items() if matcher.satisfies(one, asked)) == theirs, text


def test_an_index_has_what_the_package_repository_has(spack: SpackProgram) -> None:
    index = read_package_index(build(spack, "any").content, "")
    hdf5, openmpi = index.variants_of("hdf5"), index.variants_of("openmpi")
    assert hdf5
    assert hdf5["mpi"].is_flag
    assert openmpi
    assert openmpi["fabrics"].takes_several
    assert "ucx" in (openmpi["fabrics"].values or ())
    assert {"mpi", "blas"} <= index.virtuals
    assert index.variants_of("mpi") is None
    assert "cmake" in index.build_systems_of("hdf5")
    assert index.licenses_of("bzip2") == ("bzip2-1.0.6",)
