"""Keys that binaries are signed with, and what gpg says of them and of signatures. Pure.

Source of the formats: doc/DETAILS of GnuPG 2.2 (`--with-colons`, status lines).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from foundation.errors import RefusedError

_FINGERPRINT: Final = re.compile(r"[0-9A-F]{40}|[0-9A-F]{64}")
_DAY: Final = 86400.0
_STATUS: Final = "[GNUPG:] "


@dataclass(frozen=True, slots=True)
class Key:
    """A key: the fingerprint of its primary key, whose it says it is, and its times in seconds since 1970."""

    fingerprint: str
    users: tuple[str, ...] = ()
    created: float = 0.0
    expires: float | None = None
    is_private: bool = False
    is_revoked: bool = False

    def __str__(self) -> str:
        """The fingerprint, and the first user."""
        return f"{self.fingerprint} ({self.users[0]})" if self.users else self.fingerprint

    def is_over(self, now: float) -> bool:
        """Whether the key has expired at a time, in seconds since 1970."""
        return self.expires is not None and self.expires <= now

    def as_value(self) -> dict[str, Any]:
        """The key as JSON has it; times are in seconds since 1970."""
        return {
            "fingerprint": self.fingerprint,
            "users": self.users,
            "created": self.created,
            "expires": self.expires,
            "revoked": self.is_revoked,
        }


class State(StrEnum):
    """What gpg says of a signature."""

    GOOD = "good"
    BAD = "is not what was signed"
    NO_KEY = "is signed by a key that is not in the mirror"
    EXPIRED = "is signed by a key that has expired, or the signature itself has"
    REVOKED = "is signed by a key that was revoked"
    UNREADABLE = "has a signature that cannot be read"


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature: what gpg says of it, and the fingerprint of the primary key (of a missing one, what is known)."""

    state: State
    fingerprint: str = ""


_STATES: Final = {
    "GOODSIG": State.GOOD,
    "BADSIG": State.BAD,
    "EXPSIG": State.EXPIRED,
    "EXPKEYSIG": State.EXPIRED,
    "REVKEYSIG": State.REVOKED,
    "ERRSIG": State.UNREADABLE,
}


def whole_fingerprint(text: str) -> str:
    """A fingerprint in the one way it is written here. Raises `RefusedError` for anything shorter."""
    found = re.sub(r"[\s:]", "", text).upper().removeprefix("0X")
    if not _FINGERPRINT.fullmatch(found):
        raise RefusedError(
            f"{text!r} is no whole fingerprint, which has 40 hexadecimal digits; shorter ones can be forged"
        )
    return found


def read_listing(text: str) -> tuple[Key, ...]:
    """The primary keys in what `gpg --with-colons` lists."""
    keys: list[Key] = []
    is_primary = False
    for line in text.splitlines():
        fields = line.split(":")
        match fields[0]:
            case "pub" | "sec":
                is_primary = True
                expires = float(fields[6]) if fields[6] else None
                keys.append(
                    Key("", (), float(fields[5] or 0), expires, fields[0] == "sec", is_revoked=fields[1] == "r")
                )
            case "sub" | "ssb":
                is_primary = False
            case "fpr" if is_primary and not keys[-1].fingerprint:
                keys[-1] = replace(keys[-1], fingerprint=fields[9])
            case "uid" if keys:
                keys[-1] = replace(keys[-1], users=(*keys[-1].users, _plain(fields[9])))
    return tuple(keys)


def _plain(field: str) -> str:
    """A field without the escapes of `--with-colons`, and without signs that would play with a terminal."""
    text = re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), field)
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def read_status(text: str) -> Iterator[Signature | None]:
    """What the status lines of `gpg --verify-files` say, file by file; `None` where there is no single signature."""
    for part in text.split(f"{_STATUS}FILE_START ")[1:]:
        yield read_one_status(part.partition("\n")[2])


def read_one_status(text: str) -> Signature | None:
    """What the status lines about one file say; `None` where there is no single signature."""
    lines = [line.removeprefix(_STATUS).split(" ") for line in text.splitlines()]
    states = [_STATES[words[0]] for words in lines if words[0] in _STATES]
    valid = [words for words in lines if words[0] == "VALIDSIG"]
    failed = [words for words in lines if words[0] == "ERRSIG"]
    if len(states) != 1:
        return None
    if valid:
        return Signature(states[0], valid[0][-1])
    if failed:
        is_missing = len(failed[0]) > 6 and failed[0][6] == "9"
        known = failed[0][7] if len(failed[0]) > 7 and failed[0][7] != "-" else failed[0][1]
        return Signature(State.NO_KEY if is_missing else State.UNREADABLE, known)
    return Signature(State.BAD if states[0] is State.GOOD else states[0])


def age_text(seconds: float) -> str:
    """An age in its largest unit: `3 years`, `12 days`."""
    days = seconds / _DAY
    for unit, length in (("year", 365.25), ("month", 30.44), ("day", 1.0)):
        count = int(days / length)
        if count:
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "less than a day"
