"""`jc mirror trust`: which keys a mirror offers, and taking the one that was named into Spack's key ring."""

from __future__ import annotations

from dataclasses import dataclass

from foundation.errors import DamagedError, NotThereError, RefusedError
from foundation.openpgp.keys import Key
from foundation.openpgp.ring import key_ring
from foundation.spack import layout_v2, layout_v3
from foundation.stores.store import Store
from job_creator.mirrors.keys.spack_ring import SpackKeys
from job_creator.mirrors.verification.published_keys import published_keys
from job_creator.mirrors.view import look_into


@dataclass(frozen=True, slots=True)
class Offer:
    """A key that a mirror offers, and its public half alone, without anything that came along in the same file."""

    key: Key
    data: bytes


def offers(store: Store) -> tuple[Offer, ...]:
    """The keys that lie in a mirror where Spack looks for them.

    Raises `NotThereError` if there are none, and `DamagedError` if a private half is among them.
    """
    found: dict[str, Offer] = {}
    for _, data in sorted(published_keys(look_into(store, layout_v3.KEYS, layout_v2.KEYS)).files.values()):
        with key_ring([data]) as ring:
            for key in ring.keys_in(data):
                if key.is_private:
                    raise DamagedError(
                        f"{store.url}: the private half of {key} lies in it, so that anybody may have signed as its "
                        "owner; nothing is trusted. Remove it and make another key"
                    )
                found[key.fingerprint] = Offer(key, ring.export(key.fingerprint))
    if not found:
        raise NotThereError(f"{store.url}: offers no keys; 'jc mirror keys publish' puts one there")
    return tuple(found.values())


def trust(offered: tuple[Offer, ...], fingerprint: str, keys: SpackKeys, now: float, place: str) -> Key:
    """Have Spack trust the key with this fingerprint, and no other.

    Raises `RefusedError` if it is not offered or over, and `DamagedError` if it cannot be read; then nothing has
    changed.
    """
    there = "\n".join(f"  {offer.key}" for offer in offered)
    chosen = next((offer for offer in offered if offer.key.fingerprint == fingerprint), None)
    if chosen is None:
        raise RefusedError(f"{place}: offers no key {fingerprint}; nothing was changed. What is there:\n{there}")
    if chosen.key.is_revoked or chosen.key.is_over(now):
        raise RefusedError(f"{place}: {chosen.key} has expired or was revoked; nothing was changed")
    with key_ring() as ring:
        if [key.fingerprint for key in ring.keys_in(chosen.data)] != [fingerprint]:
            raise DamagedError(f"{place}: {chosen.key} cannot be read on its own; nothing was changed")
    keys.trust(chosen.key, chosen.data)
    return chosen.key


def require_offer(store: Store, key: Key) -> None:
    """Make sure that a key can be had from a mirror, and nothing but public halves. Raises `DamagedError`."""
    if key.fingerprint not in {offer.key.fingerprint for offer in offers(store)}:
        raise DamagedError(f"{store.url}: was given {key}, and does not offer it; run 'jc mirror verify {store.url}'")
