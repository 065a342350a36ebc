"""What stands below `ci:` (lib/spack/spack/schema/ci.py and gitlab_ci.py), GitLab's own keywords left alone."""

from __future__ import annotations

from typing import Final

from foundation.spack.releases import SpackLine
from foundation.spack.sections.shape import Anything, Either, Keys, ListOf, Shape, Since, Switch, Text, Whole

_SCRIPT: Final = ListOf(Either((Text(), ListOf(Text()))))
_JOB: Final = Keys(
    {
        "image": Either((Text(), Keys({"name": Text(), "entrypoint": ListOf(Text())}, others=Anything()))),
        "tags": ListOf(Text()),
        "variables": Keys(others=Text(or_number=True)),
        "before_script": _SCRIPT,
        "script": _SCRIPT,
        "after_script": _SCRIPT,
    },
    others=Anything(),
)
_JOB_KINDS: Final = ("any", "build", "reindex", "copy", "signing", "cleanup", "noop")
_MATCHED: Final = Keys({"match": ListOf(Text()), "build-job": _JOB, "build-job-remove": _JOB}, required=("match",))
_SUBMAPPING: Final = Keys(
    {
        "match_behavior": Text(("first", "merge")),
        "submapping": ListOf(
            Keys({"match": ListOf(Text()), "build-job": _JOB, "build-job-remove": _JOB}, required=("match",))
        ),
    },
    required=("submapping",),
)
_DYNAMIC: Final = Keys(
    {
        "dynamic-mapping": Keys(
            {
                "name": Text(),
                "endpoint": Text(),
                "timeout": Whole(),
                "verify_ssl": Switch(),
                "header": Keys(others=Text()),
                **dict.fromkeys(("allow", "require", "ignore"), ListOf(Text())),
            },
            required=("endpoint",),
        )
    },
    required=("dynamic-mapping",),
)
_JOBS: Final = tuple(Keys({f"{kind}-job": _JOB, f"{kind}-job-remove": _JOB}) for kind in _JOB_KINDS)
CI: Final[Shape] = Keys(
    {
        "pipeline-gen": ListOf(Either((_SUBMAPPING, Since(SpackLine(0, 23), _DYNAMIC), *_JOBS))),
        "rebuild-index": Switch(),
        "broken-specs-url": Text(),
        "broken-tests-packages": ListOf(Text()),
        "target": Text(("gitlab",)),
    }
)
