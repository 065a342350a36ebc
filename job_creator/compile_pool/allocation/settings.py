"""The file that `jc compile-pool config` writes and reads. Pure.

What clustcc was configured with, as JSON, is read as well. Source of its keys: README of spack-mpi, "Configuration
format"; `slurm_partiton` is how it spells that one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from foundation.errors import Fault, InvalidInputError
from foundation.validation import Form, Items, Value
from foundation.yaml_io import dump

Time = Annotated[str, Form(r"\d+:[0-5]\d:[0-5]\d", "a time as in '1:30:00'")]
Word = Annotated[str, Form(r"[^\s'\"\\]+", "one word without quotes")]
_LEVELS: Final = {"debug": "debug", "warning": "warning", "error": "error", "none": "error"}
_UNUSED: Final = ("slurm_batch_file", "launch_file", "port_file", "flux_exe", "head_rank_tasks")
"""Keys of clustcc that nothing here needs."""


class PoolFile(Value):
    """A compile pool in an allocation."""

    scheduler: Literal["slurm", "flux"] = "slurm"
    """What gives the allocation."""
    partition: Word | None = None
    """Its partition or queue; by default the scheduler's own."""
    pmi: Word = "pmi2"
    """How ranks of srun find each other; `srun --mpi=list` shows what there is."""
    time: Time = "1:00:00"
    """How long the allocation lasts at most, as hours:minutes:seconds."""
    workers: Annotated[int, Field(ge=1)] = 32
    """How many ranks compile."""
    worker_cores: Annotated[int, Field(ge=1)] = 1
    """Cores of each. A compiler uses one."""
    head_cores: Annotated[int, Field(ge=1)] = 8
    """Cores of what runs Spack, preprocesses and links."""
    specs: Annotated[Items[str], Field(min_length=1)]
    """What 'spack install' is told: specs, or hashes as '/abcdef1'."""
    spack: str = "spack"
    """The program."""
    environment: str | None = None
    """The folder or name of a Spack environment, if the specs are in one."""
    log_level: Literal["debug", "warning", "error"] = "warning"
    """How much is said: 'debug' adds what ranks and server do, 'error' leaves out warnings."""
    log_folder: str = "."
    """Where the logs go; a folder that the first node sees."""
    options: Items[Word] = ()
    """More words for the scheduler, such as '--account=project'."""


def skeleton() -> str:
    """A file to begin with: all keys, with what they mean."""
    lines = ["# A compile pool. 'jc compile-pool config scripts' makes a script of it.", "specs: [zlib]"]
    for name, field in PoolFile.model_fields.items():
        if name != "specs":
            text = re.sub(r"\s+", " ", field.description or "")
            lines.append(f"# {text}")
            value = dump({name: list(field.default) if isinstance(field.default, tuple) else field.default}).strip()
            lines.append(f"# {value}" if field.default in (None, ()) else value)
    return "\n".join(lines) + "\n"


def of_clustcc(value: Mapping[str, Any], path: str) -> str:
    """The file for what clustcc was configured with. Raises `InvalidInputError` for keys that it did not have."""
    known = {
        "slurm_partiton": "partition",
        "slurm_partition": "partition",
        "slurm_pmi": "pmi",
        "slurm_time": "time",
        "spack_exe": "spack",
        "spack_env": "environment",
        "num_workers": "workers",
        "worker_rank_cpus": "worker_cores",
        "head_rank_cpus": "head_cores",
        "logging_prefix": "log_folder",
    }
    handled = {*known, *_UNUSED, "specs", "logging_level", "total_cpus"}
    if strange := sorted(value.keys() - handled):
        raise InvalidInputError([Fault(path, 1, 1, f"clustcc has no key {strange[0]!r}")])
    found: dict[str, Any] = {ours: value[theirs] for theirs, ours in known.items() if value.get(theirs)}
    if "time" in found and str(found["time"]).count(":") == 1:
        found["time"] = f"0:{found['time']}"
    found["scheduler"] = "slurm" if any(value.get(key) for key in value if key.startswith("slurm_")) else "flux"
    # Its own compiler package is not needed: `%clustcc` and `%clustcc_toolchain` would be another hash.
    found["specs"] = [re.sub(r"\s*%clustcc\w*", "", one) for one in str(value.get("specs", "")).split()]
    found["log_level"] = _LEVELS.get(str(value.get("logging_level", "warning")), "warning")
    return dump(found, "Made of the configuration of clustcc; its compiler package is left out of the specs.")
