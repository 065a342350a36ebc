"""What stands below `mirrors:` (lib/spack/spack/schema/mirrors.py of v0.21 to v1.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from foundation.spack.releases import SpackLine
from foundation.spack.sections.shape import Either, Empty, Keys, ListOf, Shape, Since, Switch, Text, Until

_V022, _V023 = SpackLine(0, 22), SpackLine(0, 23)
_V11, _V12 = SpackLine(1, 1), SpackLine(1, 2)
_TEXT: Final = Text()
_TEXT_OR_NOTHING: Final = Either((_TEXT, Empty()))
_CONNECTION: Final[Mapping[str, Shape]] = {
    "url": _TEXT,
    "profile": _TEXT_OR_NOTHING,
    "endpoint_url": _TEXT_OR_NOTHING,
    "access_token_variable": Since(_V023, _TEXT_OR_NOTHING),
    "access_token": Until(_V023, _TEXT_OR_NOTHING, "write access_token_variable, with the name of a variable"),
    "access_pair": Either(
        (
            Until(_V023, ListOf(_TEXT_OR_NOTHING), "write a mapping with the names of variables"),
            Since(_V023, Keys({"id": _TEXT, "secret_variable": _TEXT}, required=("id", "secret_variable"))),
            Since(
                _V023,
                Keys({"id_variable": _TEXT, "secret_variable": _TEXT}, required=("id_variable", "secret_variable")),
            ),
        )
    ),
}
_CONNECTED: Final = Either((_TEXT, Keys(_CONNECTION)))
_MIRROR: Final = Keys(
    {
        **_CONNECTION,
        "source": Switch(),
        "binary": Switch(),
        "signed": Since(_V022, Switch()),
        "autopush": Since(_V022, Switch()),
        "fetch": _CONNECTED,
        "push": _CONNECTED,
        "pull": Since(_V11, _CONNECTED),
        "view": Since(_V12, _TEXT),
    },
    one_of=("url", "fetch", "pull"),
)
MIRRORS: Final[Shape] = Keys(others=Either((_TEXT, _MIRROR)))
