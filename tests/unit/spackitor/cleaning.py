"""Cleaning as tests call it."""

from __future__ import annotations

from pathlib import Path

from job_creator.adapters.stores.filesystem import FileSystemStore
from job_creator.store import Store
from spackitor.commands import (
    CleanRules,
    Options,
    Outcome,
    clean,
)
from spackitor.roots import RootSet
from spackitor.survey import survey
from tests.unit.spackitor.mirrors import (
    Made,
    dag_hash,
)

ALL = Options(max_delete=100)


MONTH = CleanRules(max_age=30)


TREE = (
    Made("app", ["lib"], ["tool"], age=100),
    Made("lib", ["base"], age=100),
    Made("base", age=100),
    Made("tool", age=100),
    Made("new", ["base"], age=2),
    Made("old", ["oldlib"], age=50),
    Made("oldlib", age=60),
)


def run_clean(
    store: Store, rules: CleanRules = MONTH, options: Options = ALL, roots: tuple[RootSet, ...] = ()
) -> Outcome:
    return clean(store, roots, rules, options, lambda _: None, lambda *_: None)


def roots(*names: str) -> RootSet:
    return RootSet("some roots", tuple(dag_hash(name) for name in names))


def names(root: Path) -> set[str]:
    inventory = survey(FileSystemStore(root)).inventory
    return {inventory.specs[hash_].name for hash_ in inventory.usable}
