"""What the commands of `spackitor` do, between the command line and the values: look, judge, plan, apply."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from foundation.doors.files import read_file, write_files
from foundation.errors import CouldNotAskError, NotThereError, RefusedError
from foundation.progress import StageProgress
from foundation.spack import layout_v2
from foundation.stores.documents import LATEST
from foundation.stores.schemes import REGISTRY, kind_of
from foundation.stores.store import ChangedError, Store
from spackitor.inventory.quarantine import Run, run_id
from spackitor.inventory.roots import RootSet, key_of, root_set_as_json, roots_of_keep_list, roots_of_lockfile, union
from spackitor.policy.plan import REPLACED, CachePlan, make_emptying_plan, make_plan, plan_as_json, reasons_counted
from spackitor.policy.repositories import Packages, read_repositories
from spackitor.policy.source_plan import kept_packages, make_source_plan
from spackitor.policy.verdicts import DAY, PolicyRules, judge
from spackitor.removal.effects import Half, RunReport, apply
from spackitor.removal.halves import BinaryHalf, binaries_of
from spackitor.removal.indexes import list_again
from spackitor.removal.sources import MirroredSources, survey_sources
from spackitor.survey.side_folder import read_side_folder
from spackitor.survey.survey import survey

_ATTEMPTS = 5

_Half = TypeVar("_Half", bound=Half)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunOptions:
    """What holds for every command that removes something. Ages are in days, `max_delete` in percent.

    `plan_file` is where the plan goes before anything is done, and beside it the report after.
    """

    min_age: float = 1.0
    max_delete: float = 30.0
    grace: float = 7.0
    has_quarantine: bool = True
    is_dry_run: bool = False
    plan_file: Path | None = None
    may_be_empty: bool = True


@dataclass(frozen=True)
class CleanRules:
    """What `clean` goes by, beside roots."""

    max_age: float | None = None
    """In days; what is older goes, if it is in no use. Without one, age does not count."""
    max_size: int | None = None
    """In bytes; specs go until the cache has no more. Without one, size does not count."""
    keep_build_dependencies: bool = False
    packages: Packages | None = None
    """What the repositories of Spack have; without it, no spec goes because its package is gone."""


@dataclass(frozen=True)
class RunOutcome:
    """What was planned and, unless that was all, what was done. `requests` counts them by kind.

    With `keeps_versions`, what is deleted for good goes on to take space.
    """

    plan: CachePlan
    report: RunReport | None
    requests: Mapping[str, int]
    half: Half
    keeps_versions: bool = False
    can_be_restored: bool = False

    def as_value(self) -> dict[str, object]:
        """What was planned and done, as JSON has it."""
        value: dict[str, object] = {
            "plan": plan_as_json(self.plan),
            "requests": dict(sorted(self.requests.items())),
            "keeps_versions": self.keeps_versions,
        }
        if self.report:
            value["report"] = self.report.as_value()
        return value


def read_roots(lockfiles: tuple[Path, ...], keep_files: tuple[Path, ...]) -> tuple[RootSet, ...]:
    """The roots in some files. Raises `InvalidInputError`."""
    return (
        *(roots_of_lockfile(read_file(path), str(path)) for path in lockfiles),
        *(roots_of_keep_list(read_file(path), str(path)) for path in keep_files),
    )


def read_packages(folders: tuple[Path, ...]) -> Packages | None:
    """The packages that exist; `None` if nobody asks."""
    return read_repositories(folders) if folders else None


def clean(
    store: Store,
    roots: tuple[RootSet, ...],
    rules: CleanRules,
    options: RunOptions,
    show: Callable[[RunOutcome], None],
    progress: StageProgress,
) -> RunOutcome:
    """Remove what the rules are against and nothing needs."""

    def decide(half: BinaryHalf, now: float) -> CachePlan:
        inventory = half.inventory
        recorded = counting_roots(inventory.url, inventory.roots, now, roots)
        wanted = PolicyRules(
            now,
            options.min_age * DAY,
            None if rules.max_age is None else rules.max_age * DAY,
            rules.max_size,
            rules.keep_build_dependencies,
            rules.packages,
        )
        verdict = judge(inventory, recorded, wanted)
        return make_plan(inventory, verdict, command="clean", now=now, min_age=wanted.min_age)

    return carry_out(store, binary_look(options), decide, options, show, progress)


def clean_sources(
    store: Store,
    roots: tuple[RootSet, ...],
    max_age: float | None,
    options: RunOptions,
    show: Callable[[RunOutcome], None],
    progress: StageProgress,
) -> RunOutcome:
    """Remove old sources (days) that no kept lockfile needs. Raises `RefusedError` for registries, which hold none."""

    def decide(half: MirroredSources, now: float) -> CachePlan:
        inventory = half.inventory
        kept = kept_packages(inventory, counting_roots(inventory.url, inventory.roots, now, roots))
        age = None if max_age is None else max_age * DAY
        return make_source_plan(inventory, kept, now=now, min_age=options.min_age * DAY, max_age=age)

    if kind_of(store.url) is REGISTRY:
        raise RefusedError(f"{store.url}: registries hold no sources")

    def look(store: Store, _: Mapping[str, frozenset[str]]) -> MirroredSources:
        return MirroredSources(store, survey_sources(store, may_be_empty=options.may_be_empty))

    return carry_out(store, look, decide, options, show, progress)


def empty_quarantine(
    store: Store, options: RunOptions, *, everything: bool, show: Callable[[RunOutcome], None], progress: StageProgress
) -> RunOutcome:
    """Delete for good what has been in the quarantine long enough, or all that is in it."""

    def decide(half: BinaryHalf, now: float) -> CachePlan:
        inventory = half.inventory
        runs = (
            tuple(replace(run, until=min(run.until, now)) for run in inventory.runs) if everything else inventory.runs
        )
        return make_emptying_plan(replace(inventory, runs=runs), now)

    return carry_out(store, binary_look(options), decide, replace(options, has_quarantine=False), show, progress)


def binary_look(options: RunOptions) -> Callable[[Store, Mapping[str, frozenset[str]]], BinaryHalf]:
    """How to look at the binaries of a mirror, as these options say."""
    return partial(binaries_of, may_be_empty=options.may_be_empty, is_dry_run=options.is_dry_run)


def carry_out(
    store: Store,
    look: Callable[[Store, Mapping[str, frozenset[str]]], _Half],
    decide: Callable[[_Half, float], CachePlan],
    options: RunOptions,
    show: Callable[[RunOutcome], None],
    progress: StageProgress,
) -> RunOutcome:
    """Plan, tell, and do it; anew if somebody writes the index while that is planned.

    Raises `RefusedError` where too much would go, or where somebody keeps writing the index.
    """
    letters = uuid4().hex[:4]
    now = 0.0
    stood: dict[str, frozenset[str]] = {}
    recorded: Run | None = None
    for _ in range(_ATTEMPTS):
        half = look(store, stood)
        half.require_readable()
        now = now or half.now
        plan = decide(half, now)
        keeps = plan.frees_space(at_once=not options.has_quarantine) and store.keeps_versions()
        planned = RunOutcome(plan, None, dict(store.requests), half, keeps, options.has_quarantine)
        write_json(options.plan_file, planned.as_value()["plan"])
        show(planned)
        require_moderate(plan, options.max_delete)
        if options.is_dry_run:
            return planned
        run, tags = _run(plan, options, now, letters), dict[str, str]()
        try:
            report = apply(store, plan, half, run, tags, progress)
        except ChangedError as error:
            logger.info("%s was written meanwhile; looking again", error)
            recorded = recorded or run
            stood |= {key: hashes | stood.get(key, frozenset()) for key, hashes in plan.views.items() if key in tags}
            continue
        if recorded and not run:
            store.delete([recorded.key, *recorded.index_copies])
        done = RunOutcome(plan, report, dict(store.requests), half, keeps)
        write_json(_report_file(options.plan_file), done.as_value())
        return done
    if recorded:  # nothing of it was removed
        list_again(store, (), stood)
        store.delete([recorded.key, *recorded.index_copies])
    raise RefusedError(f"{store.url}: somebody else keeps writing the index; try again later")


def _run(plan: CachePlan, options: RunOptions, now: float, letters: str) -> Run | None:
    if not options.has_quarantine or not (plan.metadata or plan.archives):
        return None
    moved = (*(change.key for change in plan.indexes if change.is_kept), *plan.metadata)
    views = {key: tuple(sorted(hashes)) for key, hashes in plan.views.items()}
    before = tuple(one.key for one in plan.leftovers if one.reason == REPLACED)
    removed, until = tuple(one.hash for one in plan.removals), min(now + options.grace * DAY, LATEST)
    name, left = run_id(now, letters), plan.archives
    run = Run(name, plan.command, until, moved, left, removed, plan.size, views=views, indexes=before)
    in_place = (run.quarantined(one.key) for one in plan.indexes if one.key == layout_v2.INDEX and one.stops)
    return replace(run, indexes=(*before, *in_place))


def require_moderate(plan: CachePlan, percent: float) -> None:
    """Raise `RefusedError` if more than `percent` of all that the plan counts would go."""
    if plan.share * 100 <= percent:
        return
    counts = ", ".join(f"{count} {reason}" for reason, count in reasons_counted(plan).items())
    raise RefusedError(
        f"{plan.mirror}: {len(plan.removals)} of {plan.total} {plan.things} would go ({plan.share:.0%}), more than "
        f"--max-delete {percent:g} allows: {counts}; nothing was changed. If that is right, allow more"
    )


def require_done(report: RunReport) -> None:
    """Raise `CouldNotAskError` if something could not be deleted."""
    if report.failed:
        key, reason = next(iter(report.failed.items()))
        raise CouldNotAskError(
            f"{len(report.failed)} objects could not be deleted, such as {key}: {reason}; the next run tries again"
        )


def counting_roots(url: str, every: tuple[RootSet, ...], now: float, given: tuple[RootSet, ...]) -> tuple[RootSet, ...]:
    """The roots that count. Raises `RefusedError` where there should be some, and are none."""
    recorded = tuple(one for one in every if not one.is_over(now))
    if every and not recorded and not given:
        names = ", ".join(one.name for one in every[:5])
        raise RefusedError(
            f"{url}: all recorded roots are over ({names}), so that nothing would be in use; "
            "record them again with 'spackitor keep', or drop them with 'spackitor forget'"
        )
    return (*given, *recorded)


def write_json(path: Path | None, value: object) -> None:
    """Write a value for machines, if somebody wants it."""
    if path:
        write_files(path.parent, {path.name: json.dumps(value, indent=2).encode() + b"\n"})


def _report_file(plan_file: Path | None) -> Path | None:
    return plan_file.with_name(f"{plan_file.stem}.report.json") if plan_file else None


def keep(
    store: Store, name: str, given: tuple[RootSet, ...], days: float | None, texts: tuple[str, ...] = ()
) -> RootSet:
    """Record roots under a name, for some days or for good: those given, and what specs mean at this moment."""
    from spackitor.inventory.selection import roots_of_specs

    store.folders()  # for the time of the server
    until = None if days is None else min(store.now() + days * DAY, LATEST)
    meant = (roots_of_specs(survey(store, may_be_empty=False).inventory, texts),) if texts else ()
    recorded = union(name, (*given, *meant), until)
    store.write(key_of(name), root_set_as_json(recorded))
    return recorded


def forget(store: Store, names: tuple[str, ...], *, all_over: bool) -> tuple[str, ...]:
    """Drop recorded roots; returns their names. Raises `NotThereError` if there is none of a name."""
    store.folders()
    _, recorded = read_side_folder(store)
    known = {one.name for one in recorded}
    for name in names:
        if name not in known:
            raise NotThereError(
                f"{store.url}: no roots called {name!r}; there are: {', '.join(sorted(known)) or 'none'}"
            )
    over = [one.name for one in recorded if all_over and one.is_over(store.now())]
    dropped = tuple(dict.fromkeys((*names, *over)))
    failed = store.delete([key_of(name) for name in dropped])
    require_done(RunReport(failed=dict(failed)))
    return dropped
