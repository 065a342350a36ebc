"""Options of `jc build` about packages that are compiled by a pool of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from job_creator.options import Options

if TYPE_CHECKING:
    from job_creator.builds.durations import Durations
    from job_creator.compile_pool.steps import StepPools

_ENGINES: Final = ("local", "slurm")
"""Of the others, Ray knows nothing of ranks, and Flux gives a job no way to start some within itself."""
COMPILE_ON: Final = click.option(
    "--compile-on",
    type=click.Choice(["mpi"]),
    help="Compile packages that the site file names, or that took long as --durations says, on ranks of MPI.",
)
RANKS: Final = click.option(
    "--ranks", type=click.IntRange(2), help="With --compile-on: so many ranks for each of them; one only hands on."
)


def require_sense(told: dict[str, Any]) -> None:
    """Raise `click.UsageError` for options that do not go together."""
    if (told["compile_on"] is None) != (told["ranks"] is None):
        raise click.UsageError("--compile-on and --ranks belong together; say both")
    if told["compile_on"] and told["engine"] not in _ENGINES:
        raise click.UsageError("--compile-on is for the engines local, also in an allocation, and slurm")
    if told["compile_on"] and told["launch"]:
        raise click.UsageError("--compile-on: call jc build in an allocation for that, without --launch")
    if told["compile_on"] and told["image"]:
        raise click.UsageError("--compile-on: ranks would have other compilers than --container; leave one of them out")


def step_pools(options: Options, told: dict[str, Any], durations: Durations) -> StepPools | None:
    """The pools that are asked for. Raises `NotReadyError` where no rank could be started, `InvalidInputError`."""
    from job_creator import inputs
    from job_creator.compile_pool.running import require_mpi
    from job_creator.compile_pool.steps import StepPools, launcher_for, packages_with_pools
    from job_creator.site.runners import CompilePools

    if not told["compile_on"]:
        return None
    launcher = launcher_for(told["engine"], options.environment)
    require_mpi(launcher)
    has_site = (options.directory / options.site_file).is_file()
    site = inputs.read_site_file(options.directory, options.site_file).compile_pool if has_site else CompilePools()
    return StepPools(told["ranks"], launcher, site.pmi, packages_with_pools(site, durations))
