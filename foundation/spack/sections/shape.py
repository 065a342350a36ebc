"""What a value of an environment may look like: a small language for Spack's schemas, and what does not fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple

from foundation.spack.releases import SpackLine
from foundation.validation import did_you_mean

Place = tuple[str | int, ...]
"""Keys, as they were written, and indices that lead to a value."""

_MARKS: Final = (":", "+", "-")
_MARKS_IN_LISTS: Final = ("ci", "ci:")
"""Where Spack itself reads marks in entries of lists (`generate_ir` in lib/spack/spack/ci/common.py)."""


class Misfit(NamedTuple):
    """Something that Spack refuses or passes over in silence."""

    place: Place
    message: str
    hint: str = ""
    of_key: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """Text, or one of a few words."""

    words: tuple[str, ...] = ()
    beginning: str = ""
    """What any other text has to begin with, if there may be other text than `words`."""
    or_number: bool = False
    """Whether a number does as well, which Spack makes text of."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number."""

    least: int = 0
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Switch:
    """True or false."""


@dataclass(frozen=True, slots=True)
class Empty:
    """`null`, or nothing behind the colon."""


@dataclass(frozen=True, slots=True)
class Anything:
    """Handed on as it is."""


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list."""

    item: Shape


@dataclass(frozen=True, slots=True)
class Keys:
    """A mapping."""

    known: Mapping[str, Shape] = field(default_factory=dict)
    others: Shape | None = None
    """What stands below names that users choose."""
    required: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    """Keys of which one has to be there."""


@dataclass(frozen=True, slots=True, eq=False)
class Either:
    """One of several."""

    shapes: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Since:
    """What only newer lines know."""

    line: SpackLine
    shape: Shape


@dataclass(frozen=True, slots=True)
class Until:
    """What only older lines know, this one included."""

    line: SpackLine
    shape: Shape
    instead: str = ""


Shape = Text | Whole | Switch | Empty | Anything | ListOf | Keys | Either | Since | Until


def misfits(shape: Shape, value: Any, line: SpackLine, place: Place = ()) -> Iterator[Misfit]:
    """What of a value a line of Spack would refuse, or not even look at.

    Keys may have marks. One key with two marks in one mapping is a misfit, because Spack keeps only one of them.
    """
    shape = _here(shape, line)
    if isinstance(shape, Anything):
        return
    if isinstance(shape, Either):
        yield from _of_either(_choices(shape, line), value, line, place)
    elif not _fits_kind(shape, value):
        yield _wrong_kind([shape], value, place)
    elif isinstance(shape, ListOf):
        for index, item in enumerate(value):
            yield from misfits(shape.item, item, line, (*place, index))
    elif isinstance(shape, Keys):
        yield from _of_mapping(shape, value, line, place)
    elif isinstance(shape, Whole):
        yield from _out_of_bounds(shape, value, place)
    elif isinstance(shape, Text) and not _is_among(shape, value):
        yield Misfit(place, f"{_name(place)} must not be {value!r}", did_you_mean(str(value), shape.words))


def _is_among(shape: Text, value: Any) -> bool:
    if not shape.words or value in shape.words:
        return True
    return bool(shape.beginning) and str(value).startswith(shape.beginning)


def _out_of_bounds(shape: Whole, value: int, place: Place) -> Iterator[Misfit]:
    if value < shape.least:
        yield Misfit(place, f"{_name(place)} must be {shape.least} or more")
    elif shape.most is not None and value > shape.most:
        yield Misfit(place, f"{_name(place)} must be {shape.most} or less")


def takes_numbers(shape: Shape, place: Place, line: SpackLine) -> bool:
    """Whether what stands at this place is a number to Spack, and not text that looks like one."""
    found = [shape]
    for step in place:
        found = [
            inner for one in found for alternative in _alternatives(one, line) for inner in _below(alternative, step)
        ]
    kinds = [one for shape in found for one in _alternatives(shape, line)]
    return any(isinstance(one, Whole) for one in kinds) and not any(isinstance(one, Text) for one in kinds)


def _of_either(shapes: Sequence[Shape], value: Any, line: SpackLine, place: Place) -> Iterator[Misfit]:
    fitting = [one for one in shapes if _fits_kind(one, value)]
    if not fitting:
        yield _wrong_kind(shapes, value, place)
        return
    if isinstance(value, str) and any(isinstance(one, Switch) for one in shapes) and value.lower() in _YES_NO:
        # To YAML 1.2, and so to Spack, these are words like any other.
        yield _wrong_kind([Switch()], value, place)
        return
    mappings = [one for one in fitting if isinstance(one, Keys)]
    if len(mappings) > 1:
        # What was meant is told by its keys.
        present = {_unmarked(key) for key in value}
        meant = [one for one in mappings if present.issuperset(one.required) and present & one.known.keys()]
        if not meant and (unknown := present.difference(*(one.known for one in mappings))):
            known = {name: inner for one in mappings for name, inner in one.known.items()}
            meant = [Keys({name: inner for name, inner in known.items() if name not in unknown})]
        fitting = [*(meant or mappings), *(one for one in fitting if not isinstance(one, Keys))]
    found = [list(misfits(one, value, line, place)) for one in fitting]
    yield from min(found, key=len)


def _of_mapping(shape: Keys, value: Mapping[str, Any], line: SpackLine, place: Place) -> Iterator[Misfit]:
    known = {name: one for name, one in shape.known.items() if _known(one, line)}
    seen: dict[str, str] = {}
    for key, inner in value.items():
        name = _unmarked(key)
        here = (*place, key)
        if name in seen:
            message = f"{name!r} stands here twice, as {seen[name]!r} and {key!r}, and Spack would read one of them"
            yield Misfit(here, message, "merge them by hand", True)
        seen[name] = key
        if (
            key.endswith(("+", "-"))
            and any(isinstance(step, int) for step in place)
            and place[0] not in _MARKS_IN_LISTS
        ):
            message = f"the mark of {key + ':'!r} has no meaning here, where nothing is merged"
            yield Misfit(here, message, f"write '{name}:'", True)
        below = known.get(name, shape.others if name not in shape.known else None)
        if below is not None:
            yield from misfits(below, inner, line, here)
        else:
            yield Misfit(here, f"unknown key {name!r}", _why_unknown(name, shape, known, line), True)
    for name in shape.required:
        if name not in seen:
            yield Misfit(place, f"{name!r} is missing{_below_name(place)}", "", True)
    if shape.one_of and not seen.keys() & shape.one_of:
        yield Misfit(place, f"{_name(place)} has none of {', '.join(map(repr, shape.one_of))}", "", True)


def _why_unknown(name: str, shape: Keys, known: Mapping[str, Shape], line: SpackLine) -> str:
    other = shape.known.get(name)
    if isinstance(other, Since):
        return f"it needs Spack {other.line} or newer; this site builds with {line}"
    if isinstance(other, Until):
        return other.instead or f"Spack {other.line} was the last that knew it"
    return did_you_mean(name, known)


def _wrong_kind(shapes: Sequence[Shape], value: Any, place: Place) -> Misfit:
    words = dict.fromkeys(_word(one) for one in shapes if not isinstance(one, Empty))
    return Misfit(place, f"{_name(place)} must be {' or '.join(words)}", _how(shapes, value))


def _how(shapes: Sequence[Shape], value: Any) -> str:
    """How to write what was probably meant."""
    kinds = {type(one) for one in shapes}
    if Text in kinds and isinstance(value, bool | int | float):
        return "put it in quotes"
    if Switch in kinds and isinstance(value, str) and value.lower() in _YES_NO:
        return f"write {_YES_NO[value.lower()]}; {value!r} is text"
    if isinstance(value, str) and ListOf in kinds:
        return f"write a list: [{value}]"
    if isinstance(value, str) and Whole in kinds:
        return "write it without quotes" if value.isdigit() else ""
    if isinstance(value, str) and kinds == {Keys} and value[:1] in "+~@%":
        return f"for a package, write {{require: {value!r}}}"
    return ""


_YES_NO: Final = {
    word: meant
    for meant, words in (("true", ("yes", "on", "y", "true")), ("false", ("no", "off", "n", "false")))
    for word in words
}


def _fits_kind(shape: Shape, value: Any) -> bool:
    match shape:
        case Text():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            return isinstance(value, str) or (shape.or_number and is_number)
        case Whole():
            return isinstance(value, int) and not isinstance(value, bool)
        case Switch():
            return isinstance(value, bool)
        case Empty():
            return value is None
        case ListOf():
            return isinstance(value, list)
        case Keys():
            return isinstance(value, Mapping)
        case _:
            return True


def _word(shape: Shape) -> str:
    match shape:
        case Text(words=words) if words:
            return " or ".join(repr(word) for word in words)
        case Text():
            return "text"
        case Whole():
            return "a whole number"
        case Switch():
            return "true or false"
        case ListOf():
            return "a list"
        case Keys():
            return "a mapping"
        case _:
            return "a value"


def _known(shape: Shape, line: SpackLine) -> bool:
    if isinstance(shape, Since):
        return line >= shape.line and _known(shape.shape, line)
    if isinstance(shape, Until):
        return line <= shape.line and _known(shape.shape, line)
    return True


@lru_cache(maxsize=1024)
def _choices(shape: Either, line: SpackLine) -> tuple[Shape, ...]:
    return tuple(_here(one, line) for one in shape.shapes if _known(one, line))


def _here(shape: Shape, line: SpackLine) -> Shape:
    return _here(shape.shape, line) if isinstance(shape, Since | Until) else shape


def _alternatives(shape: Shape, line: SpackLine) -> list[Shape]:
    shape = _here(shape, line)
    return (
        [inner for one in shape.shapes for inner in _alternatives(one, line)] if isinstance(shape, Either) else [shape]
    )


def _below(shape: Shape, step: str | int) -> list[Shape]:
    if isinstance(shape, ListOf) and isinstance(step, int):
        return [shape.item]
    if isinstance(shape, Keys) and isinstance(step, str):
        found = shape.known.get(_unmarked(step), shape.others)
        return [found] if found is not None else []
    return []


def _unmarked(key: str) -> str:
    return key[:-1] if len(key) > 1 and key.endswith(_MARKS) else key


def _name(place: Place) -> str:
    return repr(_unmarked(place[-1])) if place and isinstance(place[-1], str) else "this value"


def _below_name(place: Place) -> str:
    return f" below {_name(place)}" if place and isinstance(place[-1], str) else ""
