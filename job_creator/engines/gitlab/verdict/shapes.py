"""What a keyword may hold, as values: shapes of texts, lists and mappings, from which the tables are put together.

A shape is never asked about null: with a few exceptions, GitLab takes `keyword:` without a value as if it were absent.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

from foundation.gitlab import duration_seconds
from job_creator.engines.gitlab.verdict.values import flattened, is_blank, is_integer, is_text

MAX_NESTING: Final = 10
"""Lists in lists, for scripts, rules and stages."""


class Problem(NamedTuple):
    """What is wrong with a value, and the keys and indices that lead to it."""

    path: tuple[Any, ...]
    message: str
    is_gap: bool = False
    """Whether something is only missing, which another level may still bring."""
    of_edition: bool = False
    """Whether GitLab's Enterprise Edition takes it."""

    def below(self, *keys: Any) -> Problem:
        """The same, seen from further above."""
        return self._replace(path=(*keys, *self.path))


Shape = Callable[[Any], Iterator[Problem]]
"""Yields what is wrong with a value."""


def shown(value: object) -> str:
    """A value for a message, as YAML would have it and not too long."""
    text = {True: "true", False: "false", None: "null"}.get(value, "") if isinstance(value, bool | None) else ""
    text = text or (f"'{value}'" if isinstance(value, str) else repr(value))
    return text if len(text) <= 60 else text[:57] + "..."


def plain(test: Callable[[Any], bool], what: str) -> Shape:
    """Values for which a test holds; `what` ends the sentence "must be …"."""

    def check(value: Any) -> Iterator[Problem]:
        if not test(value):
            yield Problem((), f"must be {what}, not {shown(value)}")

    return check


def anything(_value: object) -> Iterator[Problem]:
    """Whatever it is, GitLab does not look at it here."""
    yield from ()


def both(*shapes: Shape) -> Shape:
    """What several shapes ask for."""

    def check(value: Any) -> Iterator[Problem]:
        for shape in shapes:
            yield from shape(value)

    return check


def by_type(otherwise: str, **shapes: Shape) -> Shape:
    """A shape for each type of value: `text`, `integer`, `list`, `mapping`, `boolean`; others are refused."""

    def check(value: Any) -> Iterator[Problem]:
        shape = shapes.get(_type_of(value))
        if shape is None:
            yield Problem((), f"must be {otherwise}, not {shown(value)}")
        else:
            yield from shape(value)

    return check


def _type_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = ((str, "text"), (int, "integer"), (float, "number"), (Mapping, "mapping"), (list | tuple, "list"))
    return next((name for type_, name in names if isinstance(value, type_)), "")


def one_of(values: Collection[str]) -> Shape:
    """One of some words."""

    def check(value: Any) -> Iterator[Problem]:
        if not is_text(value) or value not in values:
            yield Problem((), f"{shown(value)} is not one of {', '.join(sorted(values))}{close_to(value, values)}")

    return check


def close_to(word: object, words: Collection[str]) -> str:
    """The end of a message that names the word which was probably meant."""
    close = get_close_matches(word, words, 1) if isinstance(word, str) else []
    return f"; did you mean '{close[0]}'?" if close else ""


def whole_number(least: int, most: int, *, or_digits: bool = False) -> Shape:
    """An integer in a range; some keywords take it as text, too."""

    def check(value: Any) -> Iterator[Problem]:
        number = int(value) if or_digits and isinstance(value, str) and value.lstrip("+-").isdecimal() else value
        if not is_integer(number) or not least <= number <= most:
            yield Problem((), f"must be an integer from {least} to {most}, not {shown(value)}")

    return check


def duration(*, most: float | None = None, limit: str = "", also: Collection[str] = ()) -> Shape:
    """A duration of `most` seconds, which `limit` says in words; `also` are words that may stand instead.

    Whether GitLab takes a duration of nothing or less depends on its version; that is not judged.
    """

    def check(value: Any) -> Iterator[Problem]:
        if not is_text(value):
            yield Problem((), f"must be a duration, for example '2 hours', not {shown(value)}")
            return
        if value.lower() in also:
            return
        try:
            seconds = duration_seconds(value.strip().removeprefix("-"))
        except ValueError as error:
            yield Problem((), f"must be a duration, for example '2 hours': {error}")
            return
        if most is not None and seconds > most:
            yield Problem((), f"{shown(value)} is longer than {limit}")

    return check


def filled(shape: Shape, what: str = "empty") -> Shape:
    """A shape whose values may not be blank."""

    def check(value: Any) -> Iterator[Problem]:
        if is_blank(value):
            yield Problem((), f"must not be {what}")
        else:
            yield from shape(value)

    return check


def each(shape: Shape, *, flat: bool = False) -> Shape:
    """A list whose values have one shape; with `flat` also lists in lists or the value itself, and null for none."""

    def check(value: Any) -> Iterator[Problem]:
        for index, item in enumerate(flattened(value) if flat else value):
            if item is None and not flat:
                yield Problem((index,), "must not be null")
            elif item is not None:
                yield from (problem.below(index) for problem in shape(item))

    return check


def at_most(count: int, of_what: str) -> Shape:
    """A list with at most so many values."""

    def check(value: Any) -> Iterator[Problem]:
        if isinstance(value, list | tuple) and len(value) > count:
            yield Problem((), f"has {len(value)} {of_what}, GitLab allows {count}")

    return check


def nested(test: Callable[[Any], bool], what: str, *, or_single: bool) -> Shape:
    """Values in lists in lists, ten deep; with `or_single` one value without a list, too."""

    def fits(value: Any, depth: int) -> bool:
        if test(value):
            return True
        return depth > 0 and isinstance(value, list | tuple) and all(fits(item, depth - 1) for item in value)

    def check(value: Any) -> Iterator[Problem]:
        if not isinstance(value, list | tuple):
            if not or_single or not test(value):
                yield Problem((), f"must be {what}, not {shown(value)}")
            return
        for index, item in enumerate(value):
            if not fits(item, MAX_NESTING - 1):
                yield Problem((index,), f"must be {what}; this one is {shown(item)}")

    return check


Together = Callable[[Mapping[Any, Any]], Iterator[Problem]]
"""What several keys of a mapping must fulfil together."""


def mapping(
    keys: Mapping[str, Shape],
    *,
    required: Collection[str] = (),
    present: Collection[str] = (),
    together: Together | None = None,
    strict: bool = True,
) -> Shape:
    """A mapping with these keys.

    Those of `required` must be there and not be null, those of `present` must not be blank. What is not `strict`
    GitLab does not look at unless it is a mapping.
    """

    def check(value: Any) -> Iterator[Problem]:
        if not isinstance(value, Mapping):
            if strict:
                yield Problem((), f"must be a mapping, not {shown(value)}")
            return
        for key, inner in value.items():
            if not isinstance(key, str) or key not in keys:
                yield Problem((key,), f"is no keyword here{close_to(key, keys)}")
            elif inner is not None:
                yield from (problem.below(key) for problem in keys[key](inner))
        yield from _missing(value, required, present)
        if together is not None:
            yield from together(value)

    return check


def _missing(value: Mapping[Any, Any], required: Collection[str], present: Collection[str]) -> Iterator[Problem]:
    for key in (*required, *present):
        if key not in value:
            yield Problem((), f"'{key}' is missing", is_gap=True)
        elif value[key] is None or (key in present and is_blank(value[key])):
            yield Problem((key,), "must not be empty")


def entries(shape: Shape, *, key: Callable[[Any], bool] | None = None, null: object = None) -> Shape:
    """A mapping whose keys users choose; null counts as `null`, for which the shape is asked."""

    def check(value: Any) -> Iterator[Problem]:
        if not isinstance(value, Mapping):
            yield Problem((), f"must be a mapping, not {shown(value)}")
            return
        for name, inner in value.items():
            if key is not None and not key(name):
                yield Problem((name,), f"the name {shown(name)} must be a text")
            inner_value = null if inner is None else inner
            if inner_value is not None:
                yield from (problem.below(name) for problem in shape(inner_value))

    return check


def is_word(value: object) -> bool:
    """A text or one of Ruby's symbols."""
    return isinstance(value, str)


def is_scalar(value: object) -> bool:
    """A text, number or boolean."""
    return isinstance(value, str | int | float)


def _is_words(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def _is_integers(value: object) -> bool:
    return isinstance(value, list | tuple) and all(is_integer(item) for item in value)


TEXT: Final = plain(is_text, "a text")
BOOLEAN: Final = plain(lambda value: isinstance(value, bool), "true or false")
WORDS: Final = plain(_is_words, "a list of texts")
WORDS_OR_WORD: Final = plain(lambda value: is_word(value) or _is_words(value), "a text or a list of texts")
INTEGERS_OR_INTEGER: Final = plain(lambda value: is_integer(value) or _is_integers(value), "integers")
SCALAR: Final = plain(is_scalar, "a text, a number, true or false")
COMMANDS: Final = nested(is_word, "commands: texts, or lists of texts", or_single=True)
