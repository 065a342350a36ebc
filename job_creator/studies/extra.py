"""Parts of this program that not everybody installs."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from foundation.errors import NotReadyError

SPLICES: Final = "splices"
_LIBRARIES: Final = {SPLICES: ("elftools", "PIL", "reportlab")}


def require_extra(extra: str) -> None:
    """Raise `NotReadyError` unless everything that belongs to an extra is installed; imports none of it."""
    missing = [name for name in _LIBRARIES[extra] if find_spec(name) is None]
    if missing:
        raise NotReadyError(
            f"{' and '.join(missing)}: not installed; install the extra '{extra}': pip install 'spacktainers[{extra}]'"
        )
