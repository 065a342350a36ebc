"""License expressions of recipes, as SPDX writes them: `BSD-2-Clause AND (MIT OR Apache-2.0 WITH LLVM-exception)`.

Source: SPDX specification 2.3, annex D. `AND` binds closer than `OR`, `WITH` closer than both.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final

_WORD: Final = re.compile(r"[()]|[^\s()]+")


def is_allowed(expression: str, allowed: Collection[str]) -> bool:
    """Whether somebody may use this under the allowed licenses alone; capital letters do not count.

    An exception (`WITH`) only permits more, so the license without it does as well. What is no expression is allowed
    by its whole text.
    """
    known = {one.casefold() for one in allowed}
    if expression.strip().casefold() in known:
        return True
    reader = _ExpressionReader(_WORD.findall(expression.casefold()), known)
    try:
        found = reader.alternatives()
    except StopIteration:
        return False
    return found and reader.is_at_end


class _ExpressionReader:
    """Reads an expression from left to right and says what it comes to. Raises `StopIteration` where it breaks off."""

    def __init__(self, words: list[str], known: Collection[str]) -> None:
        self._words: Iterator[str] = iter(words)
        self._known = known
        self._next = next(self._words, "")

    @property
    def is_at_end(self) -> bool:
        return not self._next

    def alternatives(self) -> bool:
        found = self._together()
        while self._takes("or"):
            found = self._together() or found
        return found

    def _together(self) -> bool:
        found = self._one()
        while self._takes("and"):
            found = self._one() and found
        return found

    def _one(self) -> bool:
        if self._takes("("):
            found = self.alternatives()
            if not self._takes(")"):
                raise StopIteration
            return found
        name = self._word()
        found = name in self._known
        if self._takes("with"):
            found = f"{name} with {self._word()}" in self._known or found
        return found

    def _takes(self, word: str) -> bool:
        if self._next != word:
            return False
        self._next = next(self._words, "")
        return True

    def _word(self) -> str:
        word = self._next
        if word in ("", "(", ")", "and", "or", "with"):
            raise StopIteration
        self._next = next(self._words, "")
        return word
