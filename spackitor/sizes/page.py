"""A page with a treemap and a table beside it: one file, without scripts, for light and dark screens. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from foundation.shown import shown_size
from spackitor.sizes.groups import SizeGroup
from spackitor.sizes.treemap import Rectangle, squarified

_FRAME: Final = Rectangle(0, 0, 1000, 720)
_MOST: Final = 60
"""So many rectangles at most; the others are put together. All are in the table."""
_SMALLEST: Final = 0.002
"""Of the whole; what is smaller is put together as well."""
_LETTER: Final = 8.6
"""The width of one, in the units of the frame."""
_SHORTEST: Final = 7
"""Names that have to be cut further are left out: many begin alike."""
_LINE: Final = 20.0
_COLOURS: Final = 8
_STYLE: Final = """
:root {
  color-scheme: light dark;
  --paper: #fff; --ink: #1b1f24; --quiet: #57606a; --line: #d0d7de; --depth: 86%; --glow: 45%;
}
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171b; --ink: #e8ebee; --quiet: #9aa4ae; --line: #363c44; --depth: 27%; --glow: 30%; }
}
body { margin: 1.5rem; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.3rem; margin: 0; overflow-wrap: anywhere; }
p { margin: .2rem 0 1rem; color: var(--quiet); }
main { display: flex; flex-wrap: wrap; gap: 1.5rem; align-items: flex-start; }
figure { flex: 3 1 30rem; margin: 0; min-width: 0; }
svg { width: 100%; height: auto; display: block; }
rect { stroke: var(--paper); stroke-width: 2; }
.rest { fill: var(--line); }
text { fill: var(--ink); font: 15px ui-monospace, monospace; }
text + text { fill: var(--quiet); }
table { flex: 1 1 20rem; border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--quiet); }
th, td { padding: .2rem .6rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; padding-left: 0; overflow-wrap: anywhere; }
tbody th { font-weight: normal; }
"""


def page(place: str, by: str, groups: Sequence[SizeGroup]) -> str:
    """The page about a mirror or an install tree, as HTML."""
    total = sum(group.size for group in groups)
    specs = sum(group.specs for group in groups)
    colours = "\n".join(
        f".c{number} {{ fill: hsl({number * 360 // _COLOURS + 210} var(--glow) var(--depth)); }}"
        for number in range(_COLOURS)
    )
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in (by, "specs", "size", "share"))
    rows = "\n".join(
        f'<tr><th scope="row">{_shown(group.name)}</th><td>{group.specs:,}</td><td>{shown_size(group.size)}</td>'
        f"<td>{_share(group.size, total)}</td></tr>"
        for group in groups
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sizes by {escape(by)}: {_shown(place)}</title>
<style>{_STYLE}{colours}
</style>
</head>
<body>
<h1>{_shown(place)}</h1>
<p>{specs:,} specs, {shown_size(total)}, by {escape(by)}</p>
<main>
<figure>
{_picture(by, groups, total)}
</figure>
<table>
<caption>All {len(groups):,}, the largest first</caption>
<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</main>
</body>
</html>
"""


def _picture(by: str, groups: Sequence[SizeGroup], total: int) -> str:
    shown = [group for group in groups if group.size > total * _SMALLEST][:_MOST]
    others = groups[len(shown) :]
    rest = sum(group.size for group in others)
    if rest:
        specs = sum(group.specs for group in others)
        shown.append(SizeGroup(f"{len(others):,} others", specs, rest))
    boxes = squarified([group.size for group in shown], _FRAME)
    drawn = "\n".join(
        _box(box, group, total, "rest" if number >= len(shown) - bool(rest) else f"c{number % _COLOURS}")
        for number, (box, group) in enumerate(zip(boxes, shown, strict=True))
    )
    label = f"A treemap of sizes by {escape(by)}; the table has the same figures"
    return f'<svg viewBox="0 0 {_FRAME.width:g} {_FRAME.height:g}" role="img" aria-label="{label}">\n{drawn}\n</svg>'


def _box(box: Rectangle, group: SizeGroup, total: int, colour: str) -> str:
    size = shown_size(group.size)
    lines = []
    room = int((box.width - 14) / _LETTER)
    if box.height > _LINE + 6 and room >= min(_SHORTEST, len(group.name)):
        name = group.name if len(group.name) <= room else f"{group.name[: room - 1]}…"
        lines.append(f'<text x="{box.x + 8:.1f}" y="{box.y + _LINE:.1f}">{_shown(name)}</text>')
        if box.height > 2 * _LINE + 6 and len(size) <= room:
            lines.append(f'<text x="{box.x + 8:.1f}" y="{box.y + 2 * _LINE:.1f}">{size}</text>')
    title = f"{_shown(group.name)}: {group.specs:,} specs, {size}, {_share(group.size, total)}"
    area = f'x="{box.x:.2f}" y="{box.y:.2f}" width="{box.width:.2f}" height="{box.height:.2f}"'
    return f'<g><title>{title}</title><rect class="{colour}" {area}/>{"".join(lines)}</g>'


def _share(size: int, total: int) -> str:
    return f"{size / total:.1%}" if total else "-"


def _shown(text: str) -> str:
    """Names come from a mirror, and may hold anything; what XML does not allow is left visible as a sign."""
    return escape("".join(letter if letter.isprintable() else "�" for letter in text))
