"""Options that commands of `jc splices` share, and what they all begin with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from foundation.errors import ExitCode, NotThereError
from job_creator.options import ENDPOINT, Options
from job_creator.studies.extra import SPLICES, require_extra

if TYPE_CHECKING:
    from job_creator.studies.binaries import Caches
    from job_creator.studies.splices.facts.kept import KeptFacts
    from job_creator.studies.splices.gathering import Gathered, Question

EXIT_CODES: Final = (
    ExitCode.COULD_NOT_ASK,
    ExitCode.NOT_THERE,
    ExitCode.NOT_READY,
    ExitCode.REFUSED,
    ExitCode.DAMAGED,
)
FOLDER: Final = click.option(
    "-d",
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default="splices",
    show_default=True,
    help="Where facts and predictions are kept.",
)
TRANSITIVE: Final = click.option(
    "--transitive",
    is_flag=True,
    help="What the replacement depends on replaces that of the binary, not the other way round.",
)
_OPTIONS: Final = (
    click.option("--mirror", required=True, metavar="DIR|URL", help="The build cache."),
    click.option("--of", required=True, metavar="PACKAGE", help="The package whose binaries get a splice."),
    click.option(
        "--with",
        "replacing",
        required=True,
        multiple=True,
        metavar="DEPENDENCY",
        help="What is replaced in them, by others of its name; mpich=openmpi is replaced by another package. May be "
        "repeated.",
    ),
    FOLDER,
    click.option(
        "-j", "--jobs", type=click.IntRange(min=1), default=4, show_default=True, help="Archives read at once."
    ),
    ENDPOINT,
)
_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


@dataclass(frozen=True)
class SplicesRequest:
    """What commands that look at a cache are told."""

    mirror: str
    of: str
    replacing: tuple[str, ...]
    folder: Path
    jobs: int
    endpoint_url: str | None

    @property
    def question(self) -> Question:
        """What is asked. Ends the command where it cannot be read."""
        from job_creator.studies.splices.gathering import read_question

        try:
            return read_question(self.of, self.replacing)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--with") from None


def request_options(command: _Decorated) -> _Decorated:
    """The options of a `SplicesRequest`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def open_caches(options: Options, request: SplicesRequest) -> Caches:
    """The caches at a mirror. Raises `NotThereError` and `CouldNotAskError`."""
    from job_creator.mirrors.places import open_place
    from job_creator.studies.binaries import caches_of

    place = open_place(request.mirror, request.endpoint_url, options.environment)
    if place is None:
        raise NotThereError(f"{request.mirror}: no such folder")
    return caches_of(place)


def gather_facts(options: Options, request: SplicesRequest) -> tuple[Caches, KeptFacts, Gathered]:
    """All that is known of what a request is about, found out where it is not known yet."""
    from foundation.progress import counted_progress
    from job_creator.studies.splices.facts.kept import KeptFacts
    from job_creator.studies.splices.gathering import gather

    require_extra(SPLICES)
    question = request.question
    caches, kept = open_caches(options, request), KeptFacts(request.folder)

    counter = partial(counted_progress, "facts", quiet=options.quiet)
    return caches, kept, gather(caches, kept, question, request.jobs, counter)
