"""A container whose fingerprint is known under another tag: its new tag by digest, against moving its layers.

    python -m benchmarks.images.known_container [--layers N] [--size MIB] [--runs N]

The registry is a real docker-registry on loopback. `jc take-image` within one registry is what the job runs; under
another name of the same machine nothing can be mounted, and every layer goes through a file.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from statistics import median

from foundation.registries.blobs import put_blob
from foundation.registries.connections import RegistryConnections
from foundation.registries.reference import parse_reference
from tests.integration.registry_server import OCI_MANIFEST, Registry, digest_of, run_registry
from tests.samples import SITE, write_repository

MIB = 1 << 20


def push(registry: Registry, layers: int, size: int) -> str:
    """Push an image of layers of random bytes, each of `size` MiB; returns its repository with digest."""
    repository = f"{registry.host}/group/app"
    here, there = RegistryConnections(), parse_reference(f"{repository}:1")
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}}).encode()
    descriptors = []
    for seed in range(layers):
        content = random.Random(seed).randbytes(size * MIB)
        put_blob(here, there, digest_of(content), BytesIO(content))
        descriptors.append(
            {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest_of(content), "size": len(content)}
        )
    put_blob(here, there, digest_of(config), BytesIO(config))
    described = {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": digest_of(config),
        "size": len(config),
    }
    manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": described, "layers": descriptors}
    content = json.dumps(manifest).encode()
    here.put_manifest(there, OCI_MANIFEST, content)
    return f"{repository}@{digest_of(content)}"


def taken(root: Path, source: str, target: str) -> float:
    """Seconds of `jc take-image`, start included."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "job_creator", "-C", str(root), "take-image", source, target]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--size", type=int, default=128, metavar="MIB")
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name, run_registry(Path(name)) as registry:
        root = write_repository(Path(name) / "repository", {}, SITE)
        source = push(registry, asked.layers, asked.size)
        elsewhere = registry.host.replace("127.0.0.1", "localhost")
        seconds: dict[str, list[float]] = {"tag": [], "moved": []}
        for run in range(asked.runs):
            seconds["tag"].append(taken(root, source, f"{registry.host}/group/tagged-{run}:1"))
            seconds["moved"].append(taken(root, source, f"{elsewhere}/group/moved-{run}:1"))
        tag, moved = (median(found) for found in seconds.values())
        print(f"{asked.layers} layers of {asked.size} MiB, median of {asked.runs}: {tag:.2f} s by digest")
        print(f"layers moved: {moved:.2f} s; ratio {tag / moved:.3f}")


if __name__ == "__main__":
    main()
