"""A chain of links from something published to the site's key: what was checked, what was not, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from foundation.errors import ExitCode


class LinkState(StrEnum):
    """What is known of a link."""

    HOLDS = "holds"
    BROKEN = "broken"
    NOT_CHECKED = "not checked"
    NO_ANSWER = "no answer"
    """A server was to be asked, and gave no usable answer."""


@dataclass(frozen=True, slots=True)
class Link:
    """One link, with those that hang on it."""

    name: str
    state: LinkState
    said: str
    """What was compared, or why it was not."""
    links: tuple[Link, ...] = ()
    proves: bool = False
    """Whether it is a signature by a key that was given: what all others need to count."""

    def walk(self) -> Iterator[Link]:
        """This link, and all that hang on it, in the order in which they are checked."""
        yield self
        for link in self.links:
            yield from link.walk()

    def to_value(self) -> dict[str, Any]:
        """As JSON has it."""
        value: dict[str, Any] = {"name": self.name, "state": str(self.state), "said": self.said}
        return {**value, "links": [link.to_value() for link in self.links]} if self.links else value


def holds(name: str, said: str, *links: Link, proves: bool = False) -> Link:
    """A link that was checked."""
    return Link(name, LinkState.HOLDS, said, links, proves)


def broken(name: str, said: str, *links: Link) -> Link:
    """A link that was checked, and is not as it should be."""
    return Link(name, LinkState.BROKEN, said, links)


def unchecked(name: str, why: str, *links: Link) -> Link:
    """A link that was not checked."""
    return Link(name, LinkState.NOT_CHECKED, why, links)


def unanswered(name: str, why: str) -> Link:
    """A link that a server should have told of."""
    return Link(name, LinkState.NO_ANSWER, why)


@dataclass(frozen=True, slots=True)
class Chain:
    """All links of one thing."""

    target: str
    links: tuple[Link, ...]
    about: str = ""
    """Which container it is, as said by what was signed; counts only if all of it is proven."""

    def walk(self) -> Iterator[Link]:
        """Every link, in the order in which they are checked."""
        for link in self.links:
            yield from link.walk()

    @property
    def first_broken(self) -> Link | None:
        """The first link that does not hold."""
        return next((link for link in self.walk() if link.state is LinkState.BROKEN), None)

    @property
    def is_proven(self) -> bool:
        """Whether no link is broken, and a key that was given signed it."""
        return self.first_broken is None and any(link.proves for link in self.walk())

    def counts(self) -> dict[LinkState, int]:
        """How many links are in each state."""
        states = [link.state for link in self.walk()]
        return {state: states.count(state) for state in LinkState}

    @property
    def exit_code(self) -> ExitCode:
        """The cause that the command ends with; a broken link is told before all others."""
        if self.first_broken:
            return ExitCode.DAMAGED
        if any(link.state is LinkState.NO_ANSWER for link in self.walk()):
            return ExitCode.COULD_NOT_ASK
        return ExitCode.OK if self.is_proven else ExitCode.NOT_READY

    @property
    def verdict(self) -> str:
        """The result in a line."""
        if link := self.first_broken:
            return f"{self.target}: {link.name}: {link.said}"
        left = len([link for link in self.walk() if link.state in (LinkState.NOT_CHECKED, LinkState.NO_ANSWER)])
        rest = f"; {left} {'link was' if left == 1 else 'links were'} not checked, --explain says which" if left else ""
        if not self.is_proven:
            why = next((link.said for link in self.walk() if link.state is not LinkState.HOLDS), "nothing is signed")
            return f"{self.target}: not proven: {why}{rest}"
        # Somebody may have put another good file in place of the one that was wanted.
        return f"{self.target}: proven{f' to be {self.about}' if self.about else ''}{rest}"

    def to_value(self) -> dict[str, Any]:
        """As JSON has it."""
        first = self.first_broken
        return {
            "target": self.target,
            "proven": self.is_proven,
            "is": self.about if self.is_proven else "",
            "first_broken": first.name if first else None,
            "verdict": self.verdict,
            "links": [link.to_value() for link in self.links],
        }


_MARKS: Final = {
    LinkState.HOLDS: "ok",
    LinkState.BROKEN: "BROKEN",
    LinkState.NOT_CHECKED: "not checked",
    LinkState.NO_ANSWER: "no answer",
}


def drawn(chain: Chain) -> Iterator[str]:
    """The chain as a tree of lines."""
    yield chain.target
    yield from _drawn(chain.links, "")


def _drawn(links: tuple[Link, ...], indent: str) -> Iterator[str]:
    for index, link in enumerate(links):
        is_last = index == len(links) - 1
        yield f"{indent}{'└── ' if is_last else '├── '}{link.name}: {_MARKS[link.state]}: {link.said}"
        yield from _drawn(link.links, f"{indent}{'    ' if is_last else '│   '}")
