"""The folder that builds the packages of a job again, from what the job and its environment left. Pure."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from foundation.errors import Fault, InvalidInputError
from foundation.spack.lockfile import LockedSpec, read_lockfile
from foundation.stores.schemes import folder_url
from foundation.yaml_io import dump, load
from job_creator.builds import node_step
from job_creator.definitions.recipes import recipes_in_checkout, with_recipes_below
from job_creator.engines.gitlab.names import HASH_VARIABLE
from job_creator.environments.install_tree import install_tree
from job_creator.environments.marks import key_of, unmarked
from job_creator.environments.mirror_names import DESTINATION
from job_creator.scripts.rendering import render
from job_creator.site.spack import Spack

SCRIPT: Final = "reproduce.sh"
ORIGINAL: Final = "buildcache-of-the-job"
"""What the environment calls the build cache that the job pushed to; here it is only read."""
RECIPES: Final = "recipes"
"""The folder for recipes of the repository itself."""
_LEFT_OUT: Final = frozenset(("ci", "cdash", "view", "mirrors", "config", "container"))
"""Sections that say how jobs are made, where packages go, or how they are seen."""
_OF_JOBS: Final = ("SPACK_", "CI_")
"""Beginnings of variables that `spack ci` tells jobs, or that the script sets."""
_NO_RESULT: Final = frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"})
_PROGRAM: Final = re.compile(rf"{node_step.PROGRAM}\"?\s+(.*)$", re.MULTILINE)
VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""What can be the name of a variable. Whoever wrote what a job left might write others into our scripts."""


@dataclass(frozen=True, slots=True)
class MadeWith:
    """What a package job said that it was made with; empty where it is not known."""

    image: str = ""
    spack_commit: str = ""
    recipes_commit: str = ""

    @classmethod
    def read(cls, content: bytes, path: str) -> MadeWith:
        """Read `made_with.json`. Raises `InvalidInputError`."""
        try:
            value = json.loads(content)
            return cls(*(str(value.get(name, "")) for name in ("image", "spack_commit", "recipes_commit")))
        except (ValueError, AttributeError) as error:
            raise InvalidInputError([Fault(path, 1, 1, f"does not say what a job was made with: {error}")]) from None


@dataclass(frozen=True, slots=True)
class FoundJob:
    """A package job that ran: which packages, of which environment."""

    name: str
    url: str
    commit: str
    """Of the repository."""
    packages: tuple[str, ...]
    """DAG hashes, or their first letters."""
    environment: str
    folder: Mapping[str, bytes]
    """What the job of the environment left, by its path below the environment's folder."""
    made_with: MadeWith = MadeWith()


@dataclass(frozen=True)
class Reproduction:
    """What is written, and what is known of it."""

    files: Mapping[str, bytes]
    packages: tuple[str, ...]
    image: str
    recipes: tuple[str, ...] = ()
    """Folders of the repository that have to come along, below `recipes/`."""
    unknown: tuple[str, ...] = field(default=())
    """What the job may have seen and is not known, as sentences."""


def package_folder(job: FoundJob, spack: Spack | None, public_key: str) -> Reproduction:
    """The folder for a job.

    `spack` is what the site file says of it, where there is one; `public_key` is the variable with the file of the key
    that packages are verified with. Raises `InvalidInputError` for what no environment of a package job left.
    """
    lock = _file(job, "concrete_environment/spack.lock")
    section = _mapping(job, "concrete_environment/spack.yaml").get("spack")
    if not isinstance(section, Mapping):
        raise _fault(job, "concrete_environment/spack.yaml", "holds no Spack environment")
    locked = read_lockfile(lock, "spack.lock")
    packages = [_package(job, letters, locked.specs) for letters in job.packages]
    written = _mapping(job, "pipeline.yml")
    ran = _written_job(written, packages[0].hash)
    image = job.made_with.image or _image(ran)
    words, see, read = _words(ran)
    known = _variables(written, ran)
    for word in (image, job.made_with.spack_commit, job.made_with.recipes_commit, locked.spack_commit):
        if word.startswith("-"):
            raise _fault(job, "pipeline.yml", f"has {word!r} where an image or a commit is expected")
    if odd := [name for name in (*see, *read, *read.values()) if not VARIABLE.fullmatch(name)]:
        raise _fault(job, "pipeline.yml", f"has {odd[0]!r} where the name of a variable is expected")
    titles = tuple(f"{one.name}@{one.version}/{one.hash}" for one in packages)
    origin = _origin(spack)
    facts = {
        "packages": titles,
        "hashes": [one.hash for one in packages],
        "image": image,
        "spack_commit": job.made_with.spack_commit or locked.spack_commit,
        "recipes_commit": job.made_with.recipes_commit,
    }
    script = render(
        "reproduce_package.sh.j2",
        **facts,
        **origin,
        passed=sorted({*see, *read.values(), *_NO_RESULT, "DEPENDENCIES", "SHELL"}),
        public_key=public_key,
        packages_variable=node_step.PACKAGES_VARIABLE,
        program=node_step.PROGRAM,
        words=words,
        install_root=str(install_tree(section.get(key_of(section, "config"))).get("root", "/opt/software")),
    )
    files = {
        SCRIPT: script.encode(),
        "variables.sh": _shell(known, read).encode(),
        "environment/spack.lock": lock,
        "environment/spack.yaml.in": dump({"spack": _environment(section)}).encode(),
        "made_from.json": json.dumps({**facts, "job": job.url, "commit": job.commit}, indent=1).encode(),
    }
    files |= {f"{node_step.FOLDER}/{name}": _file(job, f"{node_step.FOLDER}/{name}") for name in _programs()}
    unset = sorted(name for name in see if name not in known and name not in ("PATH", "HOME"))
    unknown = [f"the values of {', '.join(unset)}, if they were set in the job"] if unset else []
    unknown += [] if image else ["the image of the job"]
    told = {"name": job.name, "url": job.url, "commit": job.commit, "environment": job.environment}
    page = render("reproduce_package.md.j2", **facts, **told, read=sorted({*read.values()}), unknown=unknown)
    return Reproduction(
        {**files, "README.md": page.encode()}, titles, image, recipes_in_checkout(section), tuple(unknown)
    )


def _programs() -> tuple[str, ...]:
    return (node_step.PROGRAM, *node_step.BESIDE)


def _environment(section: Mapping[str, Any]) -> dict[str, Any]:
    """The environment without what makes pipelines and views; packages go to a folder, from the same caches."""
    kept = {key: value for key, value in section.items() if unmarked(str(key)) not in _LEFT_OUT}
    config = section.get(key_of(section, "config"))
    own = {key: value for key, value in dict(config or {}).items() if unmarked(str(key)) != "install_tree"}
    tree = {**install_tree(config), "root": "@INSTALL@"}
    written = section.get(key_of(section, "mirrors"))
    mirrors = dict(written) if isinstance(written, Mapping) else {}
    if (original := mirrors.pop(DESTINATION, None)) is not None:
        mirrors[ORIGINAL] = original
    moved = with_recipes_below(kept, f"@HERE@/{RECIPES}")
    return {
        **moved,
        "config": {**own, "install_tree": tree},
        "mirrors": {DESTINATION: f"{folder_url('')}@RESULTS@/packages", **mirrors},
        "view": False,
    }


def _origin(spack: Spack | None) -> dict[str, Any]:
    """Where Spack and its recipes are cloned from."""
    recipes = spack.packages if spack else None
    return {
        "spack_repository": spack.repository if spack else "",
        "recipes_repository": recipes.repository if recipes else "",
        "needs_recipes": recipes is not None,
    }


def _variables(pipeline: Mapping[str, Any], job: Mapping[str, Any]) -> dict[str, str]:
    """The variables of a job whose values stand in its pipeline; those of others would only be names there."""
    stated: dict[str, Any] = {}
    for section in (pipeline.get("variables"), job.get("variables")):
        stated |= section if isinstance(section, Mapping) else {}
    # GitLab takes two dollars for one, and one for the beginning of a name.
    return {
        name: str(value).replace("$$", "$")
        for name, value in stated.items()
        if VARIABLE.fullmatch(name) and not name.startswith(_OF_JOBS) and "$" not in str(value).replace("$$", "")
    }


def _shell(known: Mapping[str, str], read: Mapping[str, str]) -> str:
    """Lines of shell that set variables, unless they are set already, and keys under the names that Spack looks for."""
    lines = ["# The variables of the job, unless they are set already."]
    lines += [f'[ -n "${{{name}+set}}" ] || export {name}={shlex.quote(value)}' for name, value in known.items()]
    lines += [f'[ -z "${{{value}:-}}" ] || export {name}="${value}"' for name, value in read.items() if name != value]
    return "".join(f"{line}\n" for line in lines)


def _words(job: Mapping[str, Any]) -> tuple[str, tuple[str, ...], dict[str, str]]:
    """The options of the job's program but the one for other users; what builds see, and what reads caches."""
    text = "\n".join(_lines(job.get("script")))
    found = _PROGRAM.search(text)
    given = shlex.split(found[1]) if found else []
    kept = [word for word in given if word != "--apart"]
    values = dict(zip(kept[::2], kept[1::2], strict=False))
    see = tuple(name for name in values.get("--see", "").split(",") if name)
    pairs = [one.partition("=") for one in values.get("--read", "").split(",") if one]
    read = {name: value or name for name, _, value in pairs}
    return "".join(f" {shlex.quote(word)}" for word in kept), see, read


def _lines(script: Any) -> Iterable[str]:
    return [str(line) for line in script] if isinstance(script, list) else [str(script or "")]


def _image(job: Mapping[str, Any]) -> str:
    image = job.get("image")
    return str(image.get("name", "")) if isinstance(image, Mapping) else str(image or "")


def _written_job(pipeline: Mapping[str, Any], package: str) -> Mapping[str, Any]:
    """What Spack wrote of the job of a package; nothing where it wrote none."""
    for job in pipeline.values():
        variables = job.get("variables") if isinstance(job, Mapping) else None
        if isinstance(variables, Mapping) and variables.get(HASH_VARIABLE) == package:
            return dict(job)
    return {}


def _package(job: FoundJob, letters: str, specs: Mapping[str, LockedSpec]) -> LockedSpec:
    found = [spec for key, spec in specs.items() if key.startswith(letters)]
    if len(found) != 1:
        raise _fault(job, "concrete_environment/spack.lock", f"has {len(found)} packages that begin with {letters!r}")
    return found[0]


def _file(job: FoundJob, path: str) -> bytes:
    if path not in job.folder:
        raise _fault(job, path, "was not left by the job of the environment")
    return job.folder[path]


def _mapping(job: FoundJob, path: str) -> Mapping[str, Any]:
    value = load(_file(job, path), path)
    if not isinstance(value, Mapping):
        raise _fault(job, path, "is no mapping")
    return value


def _fault(job: FoundJob, path: str, fact: str) -> InvalidInputError:
    return InvalidInputError([Fault(f"{job.environment}/{path}", 1, 1, fact)])
