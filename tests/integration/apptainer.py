"""A real Apptainer: the one on PATH, or one in a root folder that debootstrap made of a Debian release that has it."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from tests.integration.components import give_up

ROOT_VARIABLE = "SPACKTAINERS_APPTAINER_ROOT"
"""Names the root folder:
`debootstrap --variant=minbase --include=apptainer,ca-certificates,squashfuse sid FOLDER MIRROR`."""

# A chroot is not enough: Apptainer wants to mount. Pulling from a registry takes names and certificates.
_ENTER = """\
#!/bin/sh
set -e
root={root} folder={folder}
export root folder HOME="$folder" TMPDIR="$folder" APPTAINER_NO_PRIVS=1
exec unshare --mount --propagation private /bin/sh -ec '
mount --bind "$root" "$root"
mount -t tmpfs tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
for file in hosts resolv.conf; do
  mount --bind "/etc/$file" "$root/etc/$file"
done
mkdir -p "$root/tmp/.host"
mkdir -p "$root$folder"
mount --rbind "$folder" "$root$folder"
directory=$PWD
cd "$root"
pivot_root . tmp/.host
umount --lazy /tmp/.host
cd "$directory" 2> /dev/null || cd "$folder"
exec /usr/bin/apptainer "$@"
' sh "$@"
"""


@dataclass(frozen=True)
class Apptainer:
    """A program that sees `folder`, and is called `apptainer` and `singularity` in a folder that may go on PATH."""

    program: Path
    folder: Path

    def __call__(self, *arguments: str | Path, **variables: str) -> str:
        """What it prints on stdout. The test fails when it does."""
        done = subprocess.run(
            [str(self.program), *map(str, arguments)],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def apptainer_for(folder: Path) -> Apptainer:
    """An Apptainer that works in `folder`, with its program in `folder`/bin. Skips the test without one."""
    programs = folder / "bin"
    programs.mkdir()
    program = programs / "apptainer"
    installed = shutil.which("apptainer")
    root = os.environ.get(ROOT_VARIABLE)
    if installed:
        program.symlink_to(installed)
    elif not root:
        give_up(f"apptainer is not installed, and {ROOT_VARIABLE} names no root folder that has it")
    elif os.geteuid() != 0:
        give_up(f"{ROOT_VARIABLE} is of use to root only")
    else:
        _prepare(Path(root), folder)
        program.write_text(_ENTER.format(root=quote(root), folder=quote(str(folder))))
        program.chmod(0o755)
    (programs / "singularity").symlink_to(program)
    return Apptainer(program, folder)


def _prepare(root: Path, folder: Path) -> None:
    """Makes what the root folder is mounted over. Where Apptainer starts, the root folder may be seen read-only."""
    for file in ("hosts", "resolv.conf"):
        (root / "etc" / file).touch()
    (root / folder.relative_to("/")).mkdir(parents=True, exist_ok=True)
