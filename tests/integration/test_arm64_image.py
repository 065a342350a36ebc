"""A container of another architecture: built, checked and run through qemu, which the kernel starts for its programs.

Needs a root of Debian for arm64, and is skipped without: `.ci/run` makes one where the kernel may be told of qemu.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from tests.integration.base_images import Buildah, buildah_in, import_root
from tests.integration.container_project import BUILDER, IMAGE, RUNTIME, build_builder, project_in

pytestmark = [pytest.mark.usefixtures("components"), pytest.mark.xdist_group("images")]

ROOT_VARIABLE = "SPACKTAINERS_ARM64_ROOT"
LIBRARY = "libexpat.so.1"
WITH_A_PROGRAM = """\
RUN rm /opt/binaries/app && mkdir -p /opt/binaries/app/bin && cp /usr/bin/python3.* /opt/binaries/app/bin/interpreter
"""
"""A program that is linked with a library of the distribution."""


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Buildah:
    """Has a runtime image, one that lacks a library, and a builder image, all for arm64."""
    root = os.environ.get(ROOT_VARIABLE)
    if not root:
        pytest.skip(f"{ROOT_VARIABLE} names no root folder of Debian for arm64")
    if platform.machine() != "aarch64" and not list(Path("/proc/sys/fs/binfmt_misc").glob("qemu-aarch64")):
        pytest.skip("the kernel does not know of qemu for arm64 (binfmt_misc)")
    buildah = buildah_in(tmp_path_factory.mktemp("buildah"))
    import_root(buildah, Path(root), RUNTIME, architecture="arm64")
    build_builder(buildah, tmp_path_factory.mktemp("stand-in"), more=WITH_A_PROGRAM, architecture="arm64")
    context = tmp_path_factory.mktemp("lacking")
    (context / "Dockerfile").write_text(f"FROM {RUNTIME}\nRUN rm /usr/lib/aarch64-linux-gnu/{LIBRARY}*\n")
    buildah("build", "--quiet", "--pull-never", "--arch", "arm64", "--tag", f"{RUNTIME}-that-lacks", context)
    return buildah


def test_it_is_built_and_runs(tmp_path: Path, buildah: Buildah) -> None:
    project = project_in(tmp_path, buildah)
    project.write(builder=BUILDER)
    code, printed = project.build("--arch", "arm64", "--tag", IMAGE)
    assert code == 0, printed
    assert buildah.config(IMAGE)["architecture"] == "arm64"
    assert buildah.run(IMAGE, "uname", "-m", entry_point=True) == "aarch64\n"
    assert buildah.run(IMAGE, "app", "x y", entry_point=True) == "app 1 x y\n"
    show = "import platform, sys; print(platform.machine(), sys.executable)"
    program = "/opt/software/app/bin/interpreter"
    assert buildah.run(IMAGE, program, "-c", show, entry_point=True) == f"aarch64 {program}\n"


def test_the_build_finds_what_its_runtime_image_lacks(tmp_path: Path, buildah: Buildah) -> None:
    project = project_in(tmp_path, buildah)
    project.write(builder=BUILDER, runtime=f"{RUNTIME}-that-lacks")
    code, printed = project.build("--arch", "arm64", "--tag", IMAGE)
    assert code != 0
    assert f"it lacks {LIBRARY}, which is needed by" in printed
    assert f"lib/aarch64-linux-gnu/{LIBRARY}" in printed
