"""Cleaning as tests call it."""

from __future__ import annotations

from pathlib import Path

from foundation.stores.folder import FileSystemStore
from foundation.stores.store import Store
from spackitor.commands import CleanRules, RunOptions, RunOutcome, clean
from spackitor.inventory.roots import RootSet
from spackitor.survey.survey import survey
from tests.unit.spackitor.mirrors import Made, dag_hash

ALL = RunOptions(max_delete=100)


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
    store: Store, rules: CleanRules = MONTH, options: RunOptions = ALL, roots: tuple[RootSet, ...] = ()
) -> RunOutcome:
    return clean(store, roots, rules, options, lambda _: None, lambda *_: None)


def roots(*names: str) -> RootSet:
    return RootSet("some roots", tuple(dag_hash(name) for name in names))


def names(root: Path) -> set[str]:
    inventory = survey(FileSystemStore(root)).inventory
    return {inventory.specs[hash_].name for hash_ in inventory.usable}
