"""The key pair of a site: whether what is private can sign, and what is public verifies that."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

from foundation.openpgp.keys import Key
from foundation.openpgp.ring import key_ring
from job_creator.diagnosis.diagnoses import Diagnosis, Examination, Patient
from job_creator.provenance.signing import private_key, public_key, sign, verify
from job_creator.site.spack import Signing

_AREA: Final = "signing"
_DAY: Final = 86_400
_SOON: Final = 60 * _DAY
"""An expiry that is nearer is told of: a key has to be renewed and handed out before."""
_PROBE: Final = b"spacktainers\n"


def key_examinations(signing: Signing, environment: Mapping[str, str]) -> Iterator[Examination]:
    """One question: both keys are looked at together."""
    patient = Patient(_AREA, "key pair")
    advice = "see docs/variables-and-permissions.md; 'jc mirror keys create' makes a pair"
    yield Examination(patient, partial(_pair, signing, environment), advice)


def _pair(signing: Signing, environment: Mapping[str, str]) -> Iterator[Diagnosis]:
    private, public = private_key(signing, environment), public_key(signing, environment)
    verifier, signer = Patient(_AREA, signing.public_key_variable), Patient(_AREA, signing.private_key_variable)
    if public is None:
        advice = "set it to a file with the public key, or name one of the repository: 'signing: public_key:'"
        yield verifier.not_checked("is not set here, and the repository has no key", advice)
    else:
        with key_ring(()) as ring:
            yield from _each(verifier, ring.keys_in(public), "verify")
    if private is None:
        yield signer.not_checked(
            "is not set here", "set it to the file with the private key, or run this in a protected job"
        )
        return
    # Says by itself what is wrong with a key that cannot.
    signature = sign(_PROBE, private)
    if public is None:
        yield signer.ok("can sign")
        return
    verdict = verify(_PROBE, signature, public)
    if verdict.is_good:
        yield signer.ok(f"can sign; the public key verifies it ({verdict.fingerprint})")
    else:
        yield signer.fault(
            f"can sign, but what it signs {verdict.reason}", "set both variables to the halves of one key"
        )


def _each(patient: Patient, keys: tuple[Key, ...], what: str) -> Iterator[Diagnosis]:
    now = time.time()
    if not keys:
        yield patient.fault("holds no key", "set it to what 'gpg --armor --export' writes, as a variable of type File")
    for key in keys:
        if key.is_private:
            yield patient.fault(
                f"{key}: is a private key", "whoever sees the variable has it: revoke it, and make another"
            )
        elif key.is_revoked or key.is_over(now):
            state = "was revoked" if key.is_revoked else "has expired"
            yield patient.fault(
                f"{key}: {state}, and cannot {what}", "renew it ('jc mirror keys'), and set the variable anew"
            )
        elif key.expires is not None and key.is_over(now + _SOON):
            days = int((key.expires - now) / _DAY)
            yield patient.warning(f"{key}: expires in {days} days", "renew it, and set the variables anew before that")
        else:
            yield patient.ok(f"{key}")
