"""Which definitions a mirror is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from foundation.errors import NotThereError
from foundation.spack.program import SpackProgram
from job_creator.mirrors.needs.locks import Repository, find_locks, own_architecture
from tests.samples import two_zens, write_repository


def test_a_machine_that_could_be_of_several_architectures_is_a_question(tmp_path: Path) -> None:
    text = two_zens().replace("oci: amd64", f"oci: {own_architecture()}")
    files = {f"container_definitions/{name}/hdf5.yaml": "spack:\n  specs: [hdf5]\n" for name in ("zen3", "zen4")}
    repository = Repository(write_repository(tmp_path, files, text), "spacktainers.yaml", {})
    message = f"zen4 and zen3 are both {own_architecture()}; say with --architecture which one is meant"
    with pytest.raises(NotThereError, match=message):
        find_locks([], repository, SpackProgram("/nowhere"), everything=True)
