"""Whether a pipeline says no more than the environment that it was made of. Pure.

Spack reads recipes while it writes a pipeline, and whoever wrote those could have it write anything: a script, another
image, a variable that takes a secret. What the jobs of packages run with keys has to stand in the environment.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from job_creator.builds import node_step

_OF_SPACK: Final = frozenset(("stage", "needs", "dependencies", "when", "rules", "interruptible", "retry", "timeout"))
"""Keywords that Spack writes by itself, and that run nothing."""
_PLAIN: Final = ("script", "before_script", "after_script", "variables")
"""Keywords that Spack writes as well, with what the environment says in them."""
_VARIABLES_OF_SPACK: Final = re.compile(
    r"SPACK_JOB_SPEC_\w+|SPACK_SPEC_NEEDS_REBUILD|SPACK_VERSION|SPACK_CHECKOUT_VERSION|SPACK_PIPELINE_TYPE"
    r"|SPACK_CI_STACK_NAME|SPACK_REBUILD_\w+|SPACK_REQUIRE_SIGNING|SPACK_CDASH_BUILD_\w+|SPACK_CI_SHARED_PR_MIRROR_URL"
    r"|SPACK_LOCAL_MIRROR_DIR|SPACK_REMOTE_MIRROR_\w+"
)
"""Which programs and files a job takes follows from none of these."""
_FOLDERS: Final = {
    "SPACK_CONCRETE_ENV_DIR": "concrete_environment",
    "SPACK_JOB_LOG_DIR": "logs",
    "SPACK_JOB_REPRO_DIR": "reproduction",
    "SPACK_JOB_TEST_DIR": "tests",
}
"""Below the artifacts of an environment."""
_ROOT: Final = "SPACK_ARTIFACTS_ROOT"
_KEPT_BY_SPACK: Final = frozenset(("paths", "when", "always"))
"""What it writes of artifacts besides folders: those below the artifacts of its environment."""
_ENVIRONMENT_FOLDER: Final = "{env_dir}"
"""What Spack replaces in scripts by a folder."""


def foreign_words(
    container: str, variables: Mapping[str, str], jobs: Mapping[str, Mapping[str, Any]], environment: Any
) -> Iterator[str]:
    """What the pipeline of a container says that does not stand below `ci:` of its environment, each as a sentence.

    `variables` are those of all jobs, `jobs` keywords by the names of jobs, those that build nothing included. Of an
    environment that `jc` did not write nothing is known.
    """
    section = environment.get("spack", {}) if isinstance(environment, Mapping) else {}
    known = frozenset(text for key, value in section.items() if _unmarked(key) == "ci" for text in _texts(value))
    if not node_step.runs(known):
        return
    folders = [text for text in known if _ENVIRONMENT_FOLDER in text]
    root = variables.get(_ROOT, "")
    expected = {_ROOT: root, **{name: f"{root}/{folder}" for name, folder in _FOLDERS.items()}}
    for name, text in variables.items():
        usual = re.fullmatch(rf"[\w.-]+/{re.escape(container)}", root) and expected.get(name) == text
        if not (usual or _is_of_spack(name, text) or {name, text.strip()} <= known):
            yield f"the variable {name} is {text!r}, which its environment does not say"
    for name, job in jobs.items():
        for keyword, value in job.items():
            if keyword == "artifacts":
                words = [text for text in _texts(value) if not (text in known or _is_kept_by_spack(text, root))]
            else:
                words = [] if keyword in _OF_SPACK else _unknown(keyword, value, known, folders)
            if words:
                yield f"the job {name!r} has {words[0]!r} in its {keyword!r}, which its environment does not say"


def _unknown(keyword: str, value: Any, known: Collection[str], folders: Collection[str]) -> list[str]:
    if keyword == "variables" and isinstance(value, Mapping):
        value = {name: text for name, text in value.items() if not _is_of_spack(str(name), str(text))}
    found = value if keyword in _PLAIN else {keyword: value}
    return [text for text in _texts(found) if text not in known and not _has_folder(text, folders)]


def _is_of_spack(name: str, text: str) -> bool:
    """Whether Spack says that of a package; a reference could be to anything."""
    return bool(_VARIABLES_OF_SPACK.fullmatch(name)) and "$" not in text


def _is_kept_by_spack(text: str, root: str) -> bool:
    """Whether Spack has GitLab keep that. All else, such as `.git/config`, would be there for whoever sees the job."""
    return text in _KEPT_BY_SPACK or bool(re.fullmatch(rf"{re.escape(root)}(/\w[\w.-]*)+", text))


def _has_folder(text: str, folders: Collection[str]) -> bool:
    return any(re.fullmatch(re.escape(one).replace(r"\{env_dir\}", r"[\w./-]+"), text) for one in folders)


def _texts(value: Any) -> Iterator[str]:
    """All keys and values, without the marks of keys and without space at the ends."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield _unmarked(key)
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
    elif value is not None:
        yield str(value).strip()


def _unmarked(key: Any) -> str:
    return str(key).rstrip(":+-")
