"""`spackitor purge`: removing what is named, and what nobody signed whom the mirror's users trust."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from foundation.errors import RefusedError
from foundation.progress import StageProgress
from foundation.stores.store import Store
from spackitor.commands import RunOptions, RunOutcome, binary_look, carry_out, counting_roots
from spackitor.inventory.inventory import Inventory
from spackitor.inventory.roots import RootSet
from spackitor.inventory.selection import select
from spackitor.policy.plan import CachePlan, make_plan
from spackitor.policy.verdicts import DAY, PolicyRules, Verdict, dependents, judge
from spackitor.removal.halves import BinaryHalf
from spackitor.survey.signatures import condemned


@dataclass(frozen=True, slots=True)
class PurgeOrder:
    """What is to go: specs by what is said of them, and with `unsigned` those whose signature does not count."""

    texts: tuple[str, ...] = ()
    with_dependents: bool = False
    """Also what needs the specs that are named, which is refused otherwise."""
    unsigned: bool = False
    keys: bytes | None = None
    """The public keys that count; without any, every signature does."""


def purge(
    store: Store,
    order: PurgeOrder,
    options: RunOptions,
    show: Callable[[RunOutcome], None],
    progress: StageProgress,
) -> RunOutcome:
    """Remove what an order says.

    Raises `RefusedError` where something that stays needs what is named, or where that is in use. Specs whose signature
    does not count go whatever their age and whoever needs them: nobody who asks for signatures gets them from here, and
    those that are built again have the same DAG hash.
    """

    def decide(half: BinaryHalf, now: float) -> CachePlan:
        inventory = half.inventory
        named = {hash_: f"named by {text}" for hash_, text in select(inventory, order.texts).items()}
        users = dependents(inventory, named)
        if users and not order.with_dependents:
            some = ", ".join(sorted(str(inventory.specs[hash_]) for hash_ in users)[:5])
            raise RefusedError(f"{len(users)} specs depend on what is named ({some} …); with --dependents they go too")
        roots = counting_roots(inventory.url, inventory.roots, now, ())
        distrusted = condemned(store, inventory, order.keys) if order.unsigned else {}
        rules = PolicyRules(now, options.min_age * DAY, removes_orphans=False, condemned=named, distrusted=distrusted)
        verdict = judge(inventory, roots, rules)
        _require_unprotected(inventory, verdict, named, roots, rules)
        return make_plan(inventory, verdict, command="purge", now=now, min_age=rules.min_age, orphans=False)

    return carry_out(store, binary_look(options), decide, options, show, progress)


def _require_unprotected(
    inventory: Inventory, verdict: Verdict, named: Mapping[str, str], roots: tuple[RootSet, ...], rules: PolicyRules
) -> None:
    kept = [hash_ for hash_ in named if hash_ in verdict.kept]
    if not kept:
        return
    spec = inventory.specs[kept[0]]
    needed = judge(inventory, roots, replace(rules, min_age=0.0)).protected
    names = ", ".join(one.name for one in roots) if kept[0] in needed else ""
    why = (
        f"in use by roots ({names})" if names else f"or what depends on it is younger than {rules.min_age / DAY:g} days"
    )
    hint = "spackitor forget" if names else "--min-age"
    raise RefusedError(f"{spec}: {why}; nothing was changed (see {hint})")
