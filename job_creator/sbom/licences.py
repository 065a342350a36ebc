"""Licenses of packages as SPDX expressions. Pure.

Sources: SPDX 2.3, annex D ("SPDX License Expressions"); the lists that the library license-expression has.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from foundation.spack.licenses import REFERENCE, is_spdx, spdx_licensing
from job_creator.sbom.components import Licence

_FOREIGN: Final = re.compile(r"[^A-Za-z0-9.-]+")
_PREFIX: Final = "LicenseRef-"


@lru_cache(maxsize=4096)
def expression(text: str) -> Licence | None:
    """What somebody wrote as an expression; `None` for nothing.

    Names that SPDX does not list become references (`custom` becomes `LicenseRef-custom`), and so does a text that is
    no expression at all, as a whole; what was written is kept beside them.
    """
    from license_expression import ExpressionError

    text = text.strip()
    if not text:
        return None
    try:
        parsed = spdx_licensing().parse(text, validate=False, strict=False)
        keys = {str(key) for key in spdx_licensing().unknown_license_keys(parsed)}
    except (ExpressionError, ValueError, TypeError, AttributeError, IndexError):
        return _as_a_whole(text)
    written = str(parsed)
    for key in sorted(keys, key=len, reverse=True):
        written = re.sub(rf"(?<![\w.-]){re.escape(key)}(?![\w.-])", _reference(key), written)
    return Licence(written, {_reference(key): key for key in keys}) if is_spdx(written) else _as_a_whole(text)


def known_expression(text: str) -> Licence | None:
    """The same, of texts that need not be expressions, as in RPM: `None` for all but those of SPDX's own names."""
    found = expression(text)
    return found if found and not found.texts else None


def _as_a_whole(text: str) -> Licence:
    reference = _reference(text)
    return Licence(reference, {reference: text})


def _reference(key: str) -> str:
    """The name of a license that SPDX does not list."""
    if REFERENCE.fullmatch(key):
        return key
    return _PREFIX + (_FOREIGN.sub("-", key).strip("-.") or "unknown")
