"""Which C library an image has, as the job that builds it asks for it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from job_creator.scripts.rendering import render


def said_with(programs: dict[str, tuple[int, str]], folder: Path) -> str:
    """What the function says where these programs end so and print this."""
    for name, (code, printed) in programs.items():
        (folder / name).write_text(f"#!/bin/sh\ncat << 'END'\n{printed}\nEND\nexit {code}\n")
        (folder / name).chmod(0o755)
    (folder / "tools").mkdir()
    for tool in ("cat", "sed"):
        (folder / "tools" / tool).symlink_to(f"/bin/{tool}")
    script = f"set -eu\n{render('libc.sh.j2')}libc\n"
    path = f"{folder}:{folder}/tools"
    done = subprocess.run(["/bin/sh", "-c", script], env={"PATH": path}, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("programs", "expected"),
    [
        ({"getconf": (0, "glibc 2.36"), "ldd": (1, "")}, "glibc@2.36"),
        ({"ldd": (0, "ldd (Ubuntu GLIBC 2.31-0ubuntu9.16) 2.31\nCopyright (C) 2020 and so on 1.0")}, "glibc@2.31"),
        ({"ldd": (0, "ldd (GNU libc) 2.28\nCopyright (C) 2018")}, "glibc@2.28"),
        (
            {
                "getconf": (1, "getconf: GNU_LIBC_VERSION: unknown"),
                "ldd": (1, "musl libc (x86_64)\nVersion 1.2.5\nUsage"),
            },
            "musl@1.2.5",
        ),
        ({"ldd": (0, "something else")}, ""),
        ({}, ""),
    ],
)
def test_the_library_has_the_name_that_spack_gives_it(
    programs: dict[str, tuple[int, str]], expected: str, tmp_path: Path
) -> None:
    assert said_with(programs, tmp_path) == expected
