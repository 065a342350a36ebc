"""`jc mirror verify --deep` against `sha256sum` over the same files.

    python -m benchmarks.caches.mirror_verify [--gigabytes 2] [--files 400] [--rounds 3] [--folder DIR]

The mirror is made up: archives of random bytes in sizes as real ones have them, half of them sources, half the blobs of
unsigned binaries. Each round runs both, the files being in the page cache; the best of each counts.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.unit.spackitor.mirrors import Made, MadeMirror

AIM = 1.3


class LargeMirror(MadeMirror):
    """Binaries whose archives look like archives."""

    def blob(self, data: bytes, media_type: str, age: float) -> dict[str, object]:
        """Random bytes behind the two that archives start with."""
        if "install" in media_type:
            data = gzip.compress(b"")[:10] + random.Random(data).randbytes(len(data) - 10)
        record = super().blob(data, media_type, age)
        return {**record, "compression": "none" if "db." in media_type else "gzip"}


def sizes(count: int, total: int) -> list[int]:
    """Sizes in bytes whose logarithms are spread like those of real archives, and which add up to `total`."""
    chance = random.Random(1)
    raw = [chance.lognormvariate(0, 1.5) for _ in range(count)]
    return [max(100, int(one / sum(raw) * total)) for one in raw]


def fill(root: Path, count: int, total: int) -> None:
    """Write the mirror."""
    chance = random.Random(2)
    for size in sizes(count // 2, total // 2):
        data = chance.randbytes(size)
        digest = hashlib.sha256(data).hexdigest()
        path = root / "_source-cache" / "archive" / digest[:2] / f"{digest}.tar.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    specs = [Made(f"pkg-{number}", size=size) for number, size in enumerate(sizes(count // 2, total // 2))]
    LargeMirror(root, "v3", specs, now=time.time(), signed=False)


def seconds(action: Callable[[], object]) -> float:
    """How long something takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--files", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        root = Path(folder) / "mirror"
        root.mkdir()
        fill(root, options.files, int(options.gigabytes * 1e9))
        files = [str(path) for path in root.rglob("*") if path.is_file()]
        verify = [sys.executable, "-m", "job_creator", "mirror", "verify", str(root), "--deep", "--json"]
        found = json.loads(subprocess.run(verify, capture_output=True, check=True).stdout)
        size = sum(Path(path).stat().st_size for path in files)
        sha256sum = [shutil.which("sha256sum") or "sha256sum", *files]
        ours, theirs = [], []
        for _ in range(options.rounds):
            theirs.append(seconds(lambda: subprocess.run(sha256sum, capture_output=True, check=True)))
            ours.append(seconds(lambda: subprocess.run(verify, capture_output=True, check=True)))
        print(f"{len(files)} files, {size / 1e9:.2f} GB, {found['counts']['bytes read'] / 1e9:.2f} GB of them hashed")
        print(f"sha256sum           {min(theirs):6.2f} s")
        print(f"jc mirror verify    {min(ours):6.2f} s   {min(ours) / min(theirs):.2f} times (aim: {AIM})")


if __name__ == "__main__":
    main()
