"""The identity on the phone: an SD-JWT VC bound to the phone's key, issued once, shown claim by claim."""

from alicem.credential.issue import issue
from alicem.credential.offers import Copy, Offer, Offers
from alicem.credential.present import CredentialRefused, Expected, Presentation, verify_presentation
from alicem.credential.status import Status, allocate, set_status
from alicem.credential.status import current as current_status

__all__ = [
    "Copy",
    "CredentialRefused",
    "Expected",
    "Offer",
    "Offers",
    "Presentation",
    "Status",
    "allocate",
    "current_status",
    "issue",
    "set_status",
    "verify_presentation",
]
