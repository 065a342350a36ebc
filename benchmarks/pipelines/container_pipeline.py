"""`jc generate-spacktainer-workflow` for many containers: `python -m benchmarks.pipelines.container_pipeline`.

The registry answers everything after a while, the S3 server is moto's in a process of its own, and every container has
a real lockfile. In the same run: what asking the registry one question after the other would take.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.pipelines.base_pipeline import Server, SlowRegistry
from tests.samples import REPOSITORY, write_repository

CONTAINERS = 200
DELAY_SECONDS = 0.05
ENVIRONMENT = REPOSITORY / "tests" / "data" / "spack_ci" / "spack-1.1" / "hdf5-tools" / "concrete_environment"
MANIFEST = """\
spack:
  specs: [hdf5+mpi, netcdf-c, parallel-netcdf]
  config: {install_tree: {root: /opt/software}}
  view: /opt/view
"""
SITE = """\
registry: {{image: "{registry}/group"}}
spack:
  ref: v1.1.0
  packages: {{repository: https://git.example.org/spack-packages.git, ref: v2025.11.0}}
architectures:
  amd64:
    runner_tags: [x]
    build_cache: {{bucket: cache-amd64}}
    containers: {{bucket: containers, endpoint: "{s3}"}}
"""
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


def measure(root: Path, s3: str) -> None:
    """Generate the pipeline of all containers, and ask the registry a little by itself."""
    with Server(("127.0.0.1", 0), type("Handler", (SlowRegistry,), {"delay": DELAY_SECONDS})) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        registry = f"127.0.0.1:{server.server_port}"
        names = [f"c{number:03}" for number in range(CONTAINERS)]
        files = {f"container_definitions/amd64/{name}.yaml": "spack:\n  specs: [hdf5+mpi]\n" for name in names}
        write_repository(root, files, SITE.format(registry=registry, s3=s3))
        shutil.copytree(REPOSITORY / "spacktainer", root / "spacktainer")
        for name in names:
            folder = root / "jobs_scratch_dir.amd64" / name / "concrete_environment"
            folder.mkdir(parents=True)
            shutil.copy(ENVIRONMENT / "spack.lock", folder)
            (folder / "spack.yaml").write_text(MANIFEST)
        command = [sys.executable, "-m", "job_creator", "-q", "-C", str(root), "generate-spacktainer-workflow"]
        command += ["--architecture", "amd64", "--out-dir", str(root / "out")]
        command += ["--environments", str(root / "jobs_scratch_dir.amd64")]
        start = time.perf_counter()
        subprocess.run(command, check=True, env={**os.environ, **KEYS}, stdout=subprocess.DEVNULL)
        taken = time.perf_counter() - start
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        server.shutdown()
    answers = 2 * (2 + 2 * CONTAINERS)
    print(f"{CONTAINERS} containers: {taken:.2f} s (aim: 5 s), {memory:.0f} MiB (aim: 250 MiB)")
    print(
        f"          {taken / (answers * DELAY_SECONDS):.2f} times what its {answers} answers take one after the other"
    )


def main() -> None:
    """Start the S3 server, and measure."""
    with tempfile.TemporaryDirectory() as folder:
        port = "5599"
        # In a process of its own, so that its memory and its time are not counted.
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", port],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            s3 = f"http://127.0.0.1:{port}"
            os.environ.update(KEYS)
            from foundation.stores.s3_client import s3_client

            client = s3_client(s3)
            client.create_bucket(Bucket="containers")
            measure(Path(folder) / "repository", s3)
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
