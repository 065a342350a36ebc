"""The pictures of a report as SVG: jobs over runners, and how many run. Pure.

Bars of a kind are one path, which takes a tenth of what an element for each would. Colours are those of the page's
style sheet, and never all that tells kinds apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from foundation.shown import shown_duration
from job_creator.reports.schedules import PlayedJob, Schedule

WIDTH: Final = 1000
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 6, 26
"""Around the field in which there are bars."""
_FIELD: Final = WIDTH - LEFT - RIGHT
_MOST_HEIGHT: Final = 480
"""Of the field; runners share it if there are many."""
_LANES: Final = (1.5, 14.0)
"""The height of a runner: least and most."""
_GAP: Final = 0.8
_AREA: Final = 120
"""The height of the field of how many run."""
_TICKS: Final = tuple(
    minutes * 60 for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200, 14400, 43200)
)
_MOST_TICKS: Final = 8


def lane_height(lanes: int) -> float:
    """The height of a runner, in the units of the picture."""
    least, most = _LANES
    return max(least, min(most, _MOST_HEIGHT / max(1, lanes)))


def gantt(schedule: Schedule) -> str:
    """Jobs over runners, from left to right."""
    high = lane_height(schedule.lanes)
    field = high * schedule.lanes
    kinds = {
        "other": [bar for bar in schedule.bars if not bar.packages and not bar.is_failed],
        "package": [bar for bar in schedule.bars if bar.packages and not bar.is_critical and not bar.is_failed],
        "critical": [bar for bar in schedule.bars if bar.is_critical],
        "failed": [bar for bar in schedule.bars if bar.is_failed],
    }
    paths = "".join(
        f'<path class="{kind}" stroke-width="{high * 0.8:.2f}" d="{_bars(bars, schedule.seconds, high)}"/>'
        for kind, bars in kinds.items()
        if bars
    )
    # A line through them says it, too.
    marks = "".join(
        f'<path class="{kind}-mark" stroke-width="{max(0.6, high * 0.2):.2f}" '
        f'd="{_bars(kinds[kind], schedule.seconds, high)}"/>'
        for kind in ("critical", "failed")
        if kinds[kind]
    )
    label = f"Jobs over {schedule.lanes} runners, {shown_duration(schedule.seconds)} from left to right"
    first = f'<text x="{LEFT - 6}" y="{TOP + high / 2 + 4:.1f}" text-anchor="end">1</text>'
    last = f'<text x="{LEFT - 6}" y="{TOP + field - high / 2 + 4:.1f}" text-anchor="end">{schedule.lanes}</text>'
    numbers = first if schedule.lanes == 1 else last if field < 30 else first + last
    scale = f'data-left="{LEFT}" data-top="{TOP}" data-high="{high}" data-unit="{schedule.seconds / _FIELD}"'
    return _svg("schedule", label, field, _axis(schedule.seconds, field) + paths + marks + numbers, scale)


def concurrency(schedule: Schedule) -> str:
    """How many jobs run at any time."""
    steps = schedule.concurrency()
    most = max((count for _, count in steps), default=0) or 1
    path = f"M{LEFT} {TOP + _AREA}"
    for when, count in steps:
        path += f"H{_x(when, schedule.seconds)}V{_short(TOP + _AREA * (1 - count / most))}"
    path += f"H{_x(schedule.seconds, schedule.seconds)}V{TOP + _AREA}z"
    numbers = (
        f'<text x="{LEFT - 6}" y="{TOP + 12}" text-anchor="end">{most}</text>'
        f'<text x="{LEFT - 6}" y="{TOP + _AREA}" text-anchor="end">0</text>'
    )
    body = _axis(schedule.seconds, _AREA) + f'<path class="area" d="{path}"/>' + numbers
    return _svg("concurrency", f"Jobs that run at the same time, {most} at most", _AREA, body)


def _svg(name: str, label: str, field: float, body: str, more: str = "") -> str:
    box = f'viewBox="0 0 {WIDTH} {_short(TOP + field + BOTTOM)}"'
    return f'<svg id="{name}-picture" role="img" aria-label="{label}" {box} {more}>{body}</svg>'


def _bars(bars: Iterable[PlayedJob], seconds: float, high: float) -> str:
    """Strokes in the middle of the runners' rows."""
    return "".join(
        f"M{_x(bar.start, seconds)} {_short(TOP + (bar.lane + 0.5) * high)}h{_wide(bar, seconds)}" for bar in bars
    )


def _axis(seconds: float, field: float) -> str:
    step = next((tick for tick in _TICKS if seconds / tick <= _MOST_TICKS), _TICKS[-1])
    found = [f'<path class="axis" d="M{LEFT} {TOP}v{_short(field)}h{_FIELD}"/>']
    when = step
    while when < seconds:
        x = _x(when, seconds)
        found.append(f'<path class="grid" d="M{x} {TOP}v{_short(field)}"/>')
        found.append(f'<text x="{x}" y="{_short(TOP + field + 18)}" text-anchor="middle">{shown_duration(when)}</text>')
        when += step
    return "".join(found)


def _x(when: float, seconds: float) -> str:
    return _short(LEFT + _FIELD * when / seconds) if seconds else f"{LEFT}"


def _wide(bar: PlayedJob, seconds: float) -> str:
    """With something to see of what takes no time, and a gap before what follows at once."""
    return _short(max(0.4, _FIELD * (bar.finish - bar.start) / seconds - _GAP)) if seconds else "1"


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
