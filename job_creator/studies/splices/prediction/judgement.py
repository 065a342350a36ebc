"""From what a splice takes away to what is said of it. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Final

from job_creator.studies.splices.facts.values import BinaryFacts, SpecNode
from job_creator.studies.splices.prediction.comparison import Differences, Splice
from job_creator.studies.splices.prediction.type_changes import TypeAnswer
from job_creator.studies.splices.prediction.verdicts import Confidence, Prediction, SpliceVerdict

RULES: Final = 1
"""Goes up when the same facts would be judged in another way, so that no old verdict is taken for a new one."""
_SHOWN: Final = 3


def judged(splice: Splice, nodes: Mapping[str, SpecNode], found: Differences) -> Prediction:
    """What symbols say of a splice; `nodes` are those of consumer, replaced and replacement."""
    consumer, replaced, replacement = nodes[splice.consumer], nodes[splice.replaced], nodes[splice.replacement]
    prediction = Prediction(
        consumer,
        replaced,
        replacement,
        splice.is_transitive,
        verdict=None,
        reason=f"nothing binds to a library of {replaced}",
        missing=tuple(sorted(found.missing)),
        not_checked=tuple(sorted(found.not_checked)),
        objects=len(found.users),
    )
    if found.missing:
        return replace(prediction, verdict=SpliceVerdict.FAILS, reason=_counted(found), confidence=Confidence.SYMBOLS)
    doubts = sorted(found.doubts)
    if found.not_checked and replaced.system != replacement.system:
        doubts.append(f"built for {replacement.system}, not for {replaced.system}: {sorted(found.not_checked)[0]}")
    if doubts:
        return replace(prediction, verdict=SpliceVerdict.UNKNOWN, reason=_some(doubts))
    if not found.users:
        return prediction
    reason = "every library, version and symbol is there; what types look like was not seen"
    return replace(prediction, verdict=SpliceVerdict.WORKS, reason=reason, confidence=Confidence.SYMBOLS)


def unknown(splice: Splice, nodes: Mapping[str, SpecNode], reason: str) -> Prediction:
    """What is said where something went wrong."""
    return Prediction(
        nodes[splice.consumer],
        nodes[splice.replaced],
        nodes[splice.replacement],
        splice.is_transitive,
        SpliceVerdict.UNKNOWN,
        reason,
    )


def with_types(prediction: Prediction, answer: TypeAnswer) -> Prediction:
    """The same, when types were compared as well. What symbols refuse stays refused."""
    if prediction.verdict is not SpliceVerdict.WORKS:
        return prediction
    prediction = replace(prediction, tools=answer.tools)
    if answer.errors:
        return replace(prediction, verdict=SpliceVerdict.UNKNOWN, reason=_some(answer.errors), confidence=None)
    if answer.missing:
        reason = f"types changed: {_some([one.what for one in answer.missing])}"
        return replace(
            prediction,
            verdict=SpliceVerdict.FAILS,
            reason=reason,
            confidence=Confidence.TYPES,
            missing=tuple(sorted(answer.missing)),
        )
    if answer.doubts:
        return replace(prediction, verdict=SpliceVerdict.UNKNOWN, reason=_some(answer.doubts), confidence=None)
    if answer.unseen:
        return replace(prediction, reason=f"every symbol is there; {_some(answer.unseen)}")
    reason = "every library, version and symbol is there, and the types that are used are the same"
    return replace(prediction, reason=reason, confidence=Confidence.TYPES)


def _counted(found: Differences) -> str:
    return _some([f"{one.what} of {one.library} is gone" for one in sorted(found.missing)])


def _some(texts: list[str] | tuple[str, ...]) -> str:
    more = f"; and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return "; ".join(texts[:_SHOWN]) + more


class PredictionKeys:
    """Names what a verdict follows from: the files of all binaries that are there before and after, and the rules."""

    def __init__(self, binaries: Mapping[str, BinaryFacts], tools: Mapping[str, str]) -> None:
        self._binaries = binaries
        self._tools = json.dumps([RULES, dict(sorted(tools.items()))])
        self._of_binary = cache(self._fingerprint)
        self._of_dag = cache(self._dag)

    def key(self, splice: Splice) -> str:
        """64 hexadecimal digits."""
        parts = (self._tools, str(splice), self._of_dag(splice.consumer), self._of_dag(splice.replacement))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _dag(self, hash_: str) -> str:
        nodes = sorted(self._binaries[hash_].nodes) if hash_ in self._binaries else [hash_]
        return hashlib.sha256("\n".join(f"{one} {self._of_binary(one)}" for one in nodes).encode()).hexdigest()

    def _fingerprint(self, hash_: str) -> str:
        facts = self._binaries.get(hash_)
        if facts is None:
            return "unknown"
        value = [sorted(facts.files.items()), sorted(facts.links.items()), sorted(facts.prefixes.items())]
        return hashlib.sha256(json.dumps(value).encode()).hexdigest()
