"""Areas for sizes: rectangles side by side, as near to squares as may be. Pure.

Source: Bruls, Huizing and van Wijk, "Squarified Treemaps", 2000. Rows are laid along the shorter side of what is left,
and a row grows while that makes its worst rectangle no longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Left upper corner, width and height."""

    x: float
    y: float
    width: float
    height: float


def squarified(sizes: Sequence[float], frame: Rectangle) -> tuple[Rectangle, ...]:
    """A rectangle for each size within a frame, in the same order; the areas are to each other as the sizes.

    Sizes must be positive, and those from the largest to the smallest give the best shapes.
    """
    total = sum(sizes)
    areas = [size * frame.width * frame.height / total for size in sizes] if total else []
    left, found, begin = frame, list[Rectangle](), 0
    while begin < len(areas):
        side = min(left.width, left.height)
        end = begin + 1
        while end < len(areas) and _worst(areas[begin : end + 1], side) <= _worst(areas[begin:end], side):
            end += 1
        left = _lay(areas[begin:end], left, found)
        begin = end
    return tuple(found)


def _worst(row: Sequence[float], side: float) -> float:
    """How long the longest rectangle of a row is, in its short sides."""
    thickness = sum(row) / side if side else 0.0
    if not thickness or not min(row):
        return float("inf")
    return max(max(area / thickness**2, thickness**2 / area) for area in (min(row), max(row)))


def _lay(row: Sequence[float], left: Rectangle, found: list[Rectangle]) -> Rectangle:
    """Put a row at the edge, and return what is left then."""
    is_upright = left.width >= left.height
    side = left.height if is_upright else left.width
    thickness = min(sum(row) / side if side else 0.0, left.width if is_upright else left.height)
    at = 0.0
    for area in row:
        length = area / thickness if thickness else 0.0
        if is_upright:
            found.append(Rectangle(left.x, left.y + at, thickness, length))
        else:
            found.append(Rectangle(left.x + at, left.y, length, thickness))
        at += length
    if is_upright:
        return Rectangle(left.x + thickness, left.y, left.width - thickness, left.height)
    return Rectangle(left.x, left.y + thickness, left.width, left.height - thickness)
