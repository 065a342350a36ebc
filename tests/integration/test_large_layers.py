"""Layers that are compressed in many parts: the same files make the same digest, however many processors there are."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.integration.base_images import buildah_in

pytestmark = pytest.mark.usefixtures("components")

MIB = 1 << 20


def test_large_layers_have_one_digest_whatever_the_number_of_processors(tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    source = random.Random(16)
    (context / "software").write_bytes(
        b"".join(source.randbytes(MIB) if part % 3 else bytes(MIB) for part in range(48))
    )
    (context / "Dockerfile").write_text("FROM scratch\nCOPY software /opt/software\n")
    found = []
    for processors in ("1", "2"):
        buildah = buildah_in(tmp_path / f"buildah{processors}", GOMAXPROCS=processors)
        buildah("build", "--quiet", "--timestamp", "0", "--tag", "localhost/large", str(context))
        buildah("push", "--quiet", "localhost/large", f"dir:{tmp_path}/pushed{processors}")
        manifest = json.loads((tmp_path / f"pushed{processors}" / "manifest.json").read_bytes())
        found.append([(layer["digest"], layer["size"]) for layer in manifest["layers"]])
    assert found[0] == found[1]
    assert found[0][0][1] > 24 * MIB
