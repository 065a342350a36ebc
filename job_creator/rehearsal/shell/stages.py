"""Really running the pipelines: a copy of the repository, servers on this machine, and one engine run per pipeline."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from foundation.doors.files import read_file, write_files
from foundation.errors import Fault, InvalidInputError, NotThereError
from foundation.yaml_io import dump, load
from job_creator.engines.gitlab import names
from job_creator.engines.gitlab.limits import check
from job_creator.rehearsal.outcomes import FAILED, SKIPPED, SUCCESS, RehearsedPipeline, new_pipeline, save
from job_creator.rehearsal.shell.gitlab_ci_local import Engine, Told
from job_creator.rehearsal.shell.translation import Surroundings, translated
from job_creator.site.gitlab import Limits

STATES: Final = ".rehearsal"
"""The folder in the checkout with the state of each pipeline; git does not know it, so that no job sees it."""
RECORDS: Final = "pipelines"
PARENT: Final = "parent pipeline"
_STAGE_FILE: Final = "rehearsal.json"

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Stage:
    """What all pipelines of a rehearsal have in common. `folder` holds everything that it makes.

    `variables` are those of the project, `environment` is that of all processes, with nothing else in it.
    """

    folder: Path
    variables: Mapping[str, str]
    environment: Mapping[str, str]
    node: str
    engine: str
    missing: tuple[str, ...]
    limits: Mapping[str, Any]

    @property
    def checkout(self) -> Path:
        """The copy of the repository."""
        return self.folder / "checkout"

    @property
    def states(self) -> Path:
        """The states of the pipelines by their ids."""
        return self.checkout / STATES

    @property
    def records(self) -> Path:
        """What came of the pipelines."""
        return self.folder / RECORDS

    def save(self) -> None:
        """Write it for the processes of child pipelines. Raises `FileAccessError`."""
        value = {**asdict(self), "folder": str(self.folder)}
        write_files(self.folder, {_STAGE_FILE: json.dumps(value, indent=1).encode()})


def read_stage(folder: Path) -> Stage:
    """What `Stage.save` wrote. Raises `FileAccessError`."""
    value = json.loads(read_file(folder / _STAGE_FILE))
    return Stage(**{**value, "folder": Path(value["folder"]), "missing": tuple(value["missing"])})


def run_parent(stage: Stage, tell: Tell, seconds: float) -> RehearsedPipeline:
    """Run the parent pipeline of the checkout, with everything below it."""
    document = load(read_file(stage.checkout / names.PARENT_PIPELINE), names.PARENT_PIPELINE)
    return _run(stage, document, PARENT, None, {}, tell, seconds)


def run_child(
    stage: Stage, bridge: str, artifact: Path, parent: int, passed: Mapping[str, str], tell: Tell
) -> RehearsedPipeline:
    """Run the pipeline in a file, which a trigger job of another pipeline named; `passed` are the trigger's variables.

    Raises `NotThereError` if the file is missing, `InvalidInputError` if it is no pipeline, and `LimitExceededError`
    for what GitLab would refuse.
    """
    if not artifact.is_file():
        raise NotThereError(f"{bridge}: Path `{artifact}` does not exist inside the archive of the job that it needs")
    document = load(read_file(artifact), str(artifact))
    if not isinstance(document, Mapping) or not document:
        raise InvalidInputError([Fault(str(artifact), 1, 1, "is no pipeline")])
    return _run(stage, document, bridge, parent, passed, tell, None)


def _run(
    stage: Stage,
    document: Mapping[str, Any],
    name: str,
    parent: int | None,
    passed: Mapping[str, str],
    tell: Tell,
    seconds: float | None,
) -> RehearsedPipeline:
    pipeline = new_pipeline(stage.records, name, parent)
    depth = _depth(stage, parent)
    check(document, Limits.model_validate(stage.limits), depth=depth).require(name)
    source = {} if parent is None else {"CI_PIPELINE_SOURCE": "parent_pipeline"}
    variables = {**passed, **source, "CI_PIPELINE_ID": str(pipeline.id)}
    place = Surroundings(
        {**stage.variables, **variables}, STATES, stage.missing, (names.UNIT_TESTS, names.PACKAGE_NAMES)
    )
    made = translated(document, place)
    save(stage.records, RehearsedPipeline(pipeline.id, name, parent, bridges=made.bridges, left_out=made.left_out))
    state = stage.states / str(pipeline.id)
    files = {"pipeline.yml": dump(made.document), "variables.yml": dump(dict(stage.variables))}
    write_files(state, {file: text.encode() for file, text in files.items()})
    relative = f"{STATES}/{pipeline.id}"
    if not made.runs:
        done = RehearsedPipeline(
            pipeline.id, name, parent, SUCCESS, dict.fromkeys(made.jobs, SKIPPED), (), made.left_out
        )
        save(stage.records, done)
        return done
    told = Told(
        stage.checkout,
        f"{relative}/pipeline.yml",
        relative,
        tuple(made.document["stages"]),
        variables,
        stage.variables.keys(),
        stage.environment,
    )
    found = Engine(Path(stage.node), Path(stage.engine)).run(told, tell, seconds)
    jobs = {job: SKIPPED if job in made.left_out else found.get(job, SKIPPED) for job in made.jobs}
    status = FAILED if FAILED in jobs.values() else SUCCESS
    done = RehearsedPipeline(pipeline.id, name, parent, status, jobs, made.bridges, made.left_out)
    save(stage.records, done)
    return done


def _depth(stage: Stage, parent: int | None) -> int:
    depth = 0
    while parent is not None:
        depth += 1
        parent = json.loads(read_file(stage.records / f"{parent}.json"))["parent"]
    return depth
