"""`jc check` of many definitions, with an index of packages; and how a real Spack's verdicts on specs agree with ours.

python -m benchmarks.pipelines.check package_index.json [2000]
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from pathlib import Path

from foundation.spack.grammar.parser import parse_spec
from foundation.spack.grammar.spec import Misspelt
from foundation.spack.package_index import read_package_index
from foundation.spack.releases import SpackLine
from job_creator.inputs import read_all
from tests.samples import REPOSITORY, SITE, TEMPLATE, write_repository

VERDICTS = REPOSITORY / "tests" / "data" / "spack_specs"


def definitions(index_file: Path, count: int) -> dict[str, str]:
    """Definitions of eight specs each, of packages that the index knows, most of them in several."""
    index = read_package_index(index_file.read_bytes(), str(index_file))
    chance = random.Random(15)
    names = [name for name in index.names if index.variants_of(name) is not None]
    files = {}
    for number in range(count):
        specs = []
        for name in chance.sample(names, 8):
            variants = index.variants_of(name) or {}
            flags = [f"+{one}" for one, variant in variants.items() if variant.is_flag][:2]
            specs.append(f"  - '{name}@{chance.randint(1, 9)}: {' '.join(flags)} %gcc@13 ^zlib@1.2:'\n")
        rule = "  packages: {hdf5: {require: ['@1.12: +mpi']}, all: {require: ['%gcc']}}\n"
        files[f"container_definitions/amd64/c{number}.yaml"] = f"spack:\n  specs:\n{''.join(specs)}{rule}"
    return files


def agreement(line: SpackLine) -> tuple[int, int]:
    """How many recorded verdicts are ours, and how many there are."""
    verdicts = json.loads((VERDICTS / f"spack-{line}.json").read_text(encoding="utf-8"))
    same = sum(isinstance(parse_spec(text, line), Misspelt) == bool(why) for text, why in verdicts.items())
    return same, len(verdicts)


def main(arguments: list[str]) -> None:
    """Print all of it."""
    index_file, count = Path(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 2000
    for line in (SpackLine(0, 23), SpackLine(1, 1)):
        same, of = agreement(line)
        print(f"Spack {line}: {same} of {of} verdicts agree, {same / of:.2%}")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write_repository(root, {"spack.yaml": TEMPLATE, **definitions(index_file, count)}, SITE)
        for words, index in (("without an index", None), ("with an index", index_file)):
            start, cpu = time.perf_counter(), time.process_time()
            written = read_all(root, "spacktainers.yaml", index)
            wall, cpu = time.perf_counter() - start, time.process_time() - cpu
            print(f"{len(written.definitions)} definitions, {words}: {wall:.1f} s, {cpu:.1f} s of CPU")
            print("  not checked:", *written.not_checked)


if __name__ == "__main__":
    main(sys.argv[1:])
