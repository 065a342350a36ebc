"""What signed statements prove of images. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from job_creator.provenance.namespaces import is_of_branches
from job_creator.provenance.statements import Statement, StatementKind


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody has to have signed of an image, for it to count."""

    kind: StatementKind
    repository: str
    architecture: str
    """As the site calls it."""
    fingerprint: str
    """Of everything that it has to be made from."""

    def fault(self, statement: Statement, digest: str) -> str:
        """Why a statement is not about this image, although it was signed; empty if it is."""
        said = {
            "kind": (statement.kind, self.kind),
            "image": (statement.subject, digest),
            "name": (statement.name, self.repository),
            "architecture": (statement.architecture, self.architecture),
            "fingerprint": (statement.fingerprint, self.fingerprint),
        }
        for what, (found, expected) in said.items():
            if found != expected:
                return f"is signed as another {what}: {found}"
        if not statement.is_default_branch and not is_of_branches(self.repository):
            return f"was made by {statement.ref or 'nobody knows which branch'}, not by the default branch"
        return ""


@dataclass(frozen=True, slots=True)
class Witness:
    """A statement that lies beside an image, and what its signature is worth."""

    statement: Statement | None
    reason: str = ""
    """Why it counts for nothing; goes after the name of the image. Empty if a trusted key signed it."""


@dataclass(frozen=True, slots=True)
class Proofs:
    """What is known of where images come from, by `repository@digest`."""

    witnesses: Mapping[str, Witness] = field(default_factory=dict)
    why_none: str = ""
    """Why nothing can be proven in this run, if that is so: nobody said which keys to believe."""

    def fault(self, claim: Claim, digest: str) -> str:
        """Why an image is not proven to be what is claimed; goes after its name. Empty if it is proven."""
        if self.why_none:
            return f"is not proven: {self.why_none}"
        found = self.witnesses.get(f"{claim.repository}@{digest}")
        if found is None or (found.statement is None and not found.reason):
            return "is not signed"
        return found.reason or claim.fault(found.statement, digest) if found.statement else found.reason
