"""What a rehearsal needs on this machine: looked for before anything else, and all that is missing said at once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from foundation.doors.files import write_files
from foundation.doors.processes import ProcessError, run
from foundation.errors import NotReadyError
from foundation.yaml_io import dump
from job_creator.rehearsal.shell.gitlab_ci_local import Engine, find_engine

_PROGRAMS: Final = ("git", "rsync", "bash")
_SECONDS: Final = 300.0
_WARM_SECONDS: Final = 3600.0
_IMPORT: Final = "import boto3"
_SCRIPT: Final = Path(__file__).parent / "warm_up.py"


def find_tools(folders: Sequence[Path], environment: Mapping[str, str]) -> Engine:
    """The engine in one of some `node_modules` or on `PATH`, when everything else is here as well.

    The rest is git, rsync and bash, and, if `SPACK_ROOT` is set, a Spack that can talk to S3. Raises `NotReadyError`
    with all that is missing.
    """
    path = environment.get("PATH", "")
    lacks = [
        f"{program}: not installed; install the package of that name"
        for program in _PROGRAMS
        if not shutil.which(program, path=path)
    ]
    engine = None
    try:
        engine = find_engine(folders, path)
    except NotReadyError as error:
        lacks.append(str(error))
    lacks += _lacks_of_spack(environment)
    if engine is None or lacks:
        listed = "".join(f"\n  {one}" for one in lacks)
        raise NotReadyError(f"a rehearsal needs what is not here:{listed}")
    return engine


def _lacks_of_spack(environment: Mapping[str, str]) -> Iterator[str]:
    root = environment.get("SPACK_ROOT")
    if not root:
        return
    spack = Path(root) / "bin" / "spack"
    if not spack.is_file():
        yield f"Spack: SPACK_ROOT is {root}, and {spack} is not there; name the folder of a Spack, or unset it"
        return
    try:
        run([str(spack), "python", "-c", _IMPORT], seconds=_SECONDS, environment=environment)
    except ProcessError as error:
        python = environment.get("SPACK_PYTHON", "python3")
        missing = "No module named 'boto3'" in str(error)
        said = f"'{python} -m pip install boto3' installs it" if missing else str(error)
        yield f"boto3 in the Python of Spack, for S3: {said}"


def warm_up(folder: Path, template: Mapping[str, object], environment: Mapping[str, str]) -> None:
    """Let the Spack of an environment index its recipes and find its solver, once.

    Else all jobs that start at the same time wait for the first one, and give up after Spack's two minutes. `template`
    is the environment template; what it says of repositories counts. Raises `NotReadyError`.
    """
    spack = Path(environment["SPACK_ROOT"]) / "bin" / "spack"
    section = template.get("spack")
    repositories = section.get("repos") if isinstance(section, Mapping) else None
    manifest = {"spack": {"specs": [], "view": False, **({"repos": repositories} if repositories else {})}}
    write_files(folder, {"spack.yaml": dump(manifest).encode()})
    command = [str(spack), "-e", str(folder), "python", str(_SCRIPT)]
    try:
        run(command, seconds=_WARM_SECONDS, environment=environment)
    except ProcessError as error:
        raise NotReadyError(f"{spack}: cannot concretize anything here: {error}") from None
