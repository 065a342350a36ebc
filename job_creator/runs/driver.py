"""Drives a run: gives steps to an engine as they become ready, and notes what became of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final, Protocol

from job_creator.builds.steps import Step
from job_creator.engines.engine import EndingKind, StepEnding, StepEngine, StepWork
from job_creator.runs.failures import Judgment, judge
from job_creator.runs.plan import RunPlan
from job_creator.runs.progress import RunProgress
from job_creator.runs.records import StepRecord, skipped

_SECONDS_BETWEEN_POLLS: Final = 5.0


class Attempts(Protocol):
    """Where attempts leave what they have to say; `folder.RunFolder` is one."""

    def left_record(self, step: Step, number: int) -> StepRecord | None:
        """What an attempt's program wrote down."""

    def log_name(self, step: Step, number: int) -> str:
        """The name of its log."""

    def end_of_log(self, step: Step, number: int) -> str:
        """The last lines of its log."""

    def add_record(self, record: StepRecord) -> None:
        """Note what became of an attempt."""

    def add_submitted(self, hash_: str, attempt: int, id_: str) -> None:
        """Note which id an engine gave to it."""


WorkOf = Callable[[Step, int, int], StepWork]
"""The work of a step: its attempt of this number, and how often the cores that it would like to have are halved."""
Tell = Callable[[StepRecord], None]


class Driver:
    """A run that is going on."""

    def __init__(self, plan: RunPlan, engine: StepEngine, attempts: Attempts, work_of: WorkOf, tell: Tell) -> None:
        """`tell` is told each record of a package for which no other attempt follows."""
        self._plan, self._engine, self._attempts, self._work_of, self._tell = plan, engine, attempts, work_of, tell
        self._progress = RunProgress(plan.edges, plan.seconds, ahead=engine.holds_dependencies)
        self._tries = dict.fromkeys(plan.steps, 0)
        self._halved = dict.fromkeys(plan.steps, 0)
        self._ids: dict[str, str] = {}
        """Of what the engine has, by DAG hash."""
        self._steps: dict[str, Step] = {}
        """The same by id."""

    def run(self) -> None:
        """Go on until each step is built or lost."""
        while not self._progress.is_done:
            while self._progress.startable and self._engine.room(self._progress.startable) > 0:
                if not self._submit(self._plan.steps[self._progress.next()]):
                    break
            endings = self._engine.poll(_SECONDS_BETWEEN_POLLS)
            # What was cancelled because of another step comes after what is said of that step.
            for ending in sorted(endings, key=lambda one: one.kind is EndingKind.CANCELLED):
                self._ended(ending)

    def cancel(self) -> None:
        """End all that the engine has."""
        self._engine.cancel(tuple(self._steps))

    def _submit(self, step: Step) -> bool:
        """Give a step to the engine; false if it has no room."""
        work = self._work_of(step, self._tries[step.hash] + 1, self._halved[step.hash])
        after = [self._ids[need] for need in self._progress.after(step.hash) if need in self._ids]
        id_ = self._engine.submit(work, after)
        if not id_:
            self._progress.again(step.hash)
            return False
        self._tries[step.hash] += 1
        self._ids[step.hash] = id_
        self._steps[id_] = step
        self._attempts.add_submitted(step.hash, self._tries[step.hash], id_)
        return True

    def _ended(self, ending: StepEnding) -> None:
        step = self._steps.pop(ending.id)
        self._ids.pop(step.hash, None)
        record = self._attempts.left_record(step, self._tries[step.hash])
        if record is not None and record.is_there:
            self._progress.built(step.hash)
            self._note(record)
        elif ending.kind is EndingKind.CANCELLED:
            self._cancelled(step)
        else:
            self._failed(step, ending, record)

    def _cancelled(self, step: Step) -> None:
        """The engine never started it. If what it needs is being tried again, so is this."""
        self._tries[step.hash] -= 1
        if not self._progress.again(step.hash):
            self._lose(skipped(step, self._lacking(step.hash), engine=self._engine.name))

    def _failed(self, step: Step, ending: StepEnding, record: StepRecord | None) -> None:
        tries = self._tries[step.hash]
        judgment = judge(ending, record, self._attempts.end_of_log(step, tries))
        found = replace(record or self._unrecorded(step, ending), failure=judgment.failure)
        if self._may_try_again(step, judgment) and self._progress.again(step.hash):
            self._halved[step.hash] += judgment.halves_cores
            self._attempts.add_record(found)
        else:
            self._lose(found)

    def _may_try_again(self, step: Step, judgment: Judgment) -> bool:
        return self._tries[step.hash] < judgment.tries

    def _lose(self, record: StepRecord) -> None:
        self._note(record)
        for above, lacking in self._progress.lost(record.hash):
            steps = self._plan.steps
            self._note(skipped(steps[above], steps[lacking], engine=self._engine.name))

    def _lacking(self, hash_: str) -> Step:
        return self._plan.steps[self._progress.lacks(hash_)]

    def _unrecorded(self, step: Step, ending: StepEnding) -> StepRecord:
        """The record of a step whose program could not write one."""
        tries = self._tries[step.hash]
        told = f"{ending.kind}: {ending.detail}" if ending.detail else str(ending.kind)
        because = f"its program left no record ({told})"
        return StepRecord(
            step.hash,
            step.package,
            step.version,
            step.environment,
            "failed",
            because,
            engine=self._engine.name,
            attempt=tries,
            log=self._attempts.log_name(step, tries),
        )

    def _note(self, record: StepRecord) -> None:
        self._attempts.add_record(record)
        self._tell(record)


def states(records: Iterable[StepRecord]) -> dict[str, int]:
    """How many packages there are of each state."""
    found: dict[str, int] = {}
    for record in records:
        found[record.state] = found.get(record.state, 0) + 1
    return found
