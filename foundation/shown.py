"""Sizes and durations as people read them."""

from __future__ import annotations


def shown_duration(seconds: float) -> str:
    """Hours and minutes, or seconds if it is less than a minute, as people say them."""
    if round(seconds) < 60:
        return f"{round(seconds)}s"
    minutes = round(seconds / 60)
    return f"{minutes // 60}h {minutes % 60:02}m" if minutes >= 60 else f"{minutes}m"
