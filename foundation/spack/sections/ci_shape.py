"""What stands below `ci:` (lib/spack/spack/schema/ci.py and gitlab_ci.py), GitLab's own keywords left alone."""

from __future__ import annotations

from typing import Final

from foundation.spack.releases import SpackLine
from foundation.spack.sections.shape import Anything, Either, Keys, ListOf, Shape, Since, Switch, Text, Until, Whole

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
_OF_JOBS: Final = "say it of jobs, as in pipeline-gen: [{build-job: {tags: [big]}}]"
_FORMER: Final = {
    "mappings": "write pipeline-gen: [{submapping: […]}], with 'build-job:' for 'runner-attributes:'",
    "match_behavior": "it stands beside a 'submapping:' now",
    "service-job-attributes": "say it of the job, as in pipeline-gen: [{reindex-job: {tags: [big]}}]",
    "signing-job-attributes": "remove it; the job that builds a package signs it",
    "bootstrap": "remove it; compilers are in the builder image, or packages",
    "enable-artifacts-buildcache": "remove it; packages are handed on by the build cache",
    "temporary-storage-url-prefix": "remove it; packages are handed on by the build cache",
    **dict.fromkeys(("image", "tags", "variables", "before_script", "script", "after_script"), _OF_JOBS),
}
"""Keys of `gitlab-ci` and of the first lines with `ci`, and what stands for them (lib/spack/spack/schema/gitlab_ci.py
and ci.py of v0.21). Those that a supported line still took had no effect in pipelines as they are made here."""
CI: Final[Shape] = Keys(
    {
        **{name: Until(SpackLine(0, 20), Anything(), instead) for name, instead in _FORMER.items()},
        "pipeline-gen": ListOf(Either((_SUBMAPPING, Since(SpackLine(0, 23), _DYNAMIC), *_JOBS))),
        "rebuild-index": Switch(),
        "broken-specs-url": Text(),
        "broken-tests-packages": ListOf(Text()),
        "target": Text(("gitlab",)),
    }
)
