"""The receipt says what was agreed to, and all that the server keeps: no column about a person's account is left out of it."""

from __future__ import annotations

import secrets
from datetime import UTC, date, datetime
from pathlib import Path

import alicem.app  # noqa: F401 - declares every table
from alicem import jose, keys
from alicem.enrolment import receipts
from alicem.evidence import CivilIdentity, DocumentFacts, Evidence, Gender, Level, PartialDate
from alicem.evidence import Path as EnrolmentPath
from alicem.store import metadata

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
CONSENT = datetime(2026, 11, 21, 9, 27, 12, tzinfo=UTC)
COLUMNS = {
    "account_number": {"accounts.number", "phones.account", "journal.account"},
    "state": {"accounts.state", "phones.stage"},
    "level": {"phones.level"},
    "month_of_identity_check": {"accounts.checked_month"},
    "month_of_last_use": {"accounts.used_month"},
    "document_fingerprint": {"accounts.fingerprint"},
    "suspension_code_hash": {"accounts.suspension"},
    "status_index": {"phones.status_index"},
    "phone_public_keys": {"phones.id", "phones.thumbprint", "phones.device_key", "phones.key_kind", "phones.passkey"},
    "code_key_and_share": {"phones.pin_key", "phones.next_pin_key", "phones.share"},
    "tries": {
        "phones.sequence",
        "phones.used",
        "phones.paused_until",
        "phones.last_instruction",
        "phones.last_outcome",
    },
    "journal": {"journal.number", "journal.at", "journal.event", "journal.salt", "journal.content", "journal.digest"},
}


def evidence(consent: datetime | None) -> Evidence:
    born = PartialDate(1988, 5, 17)
    person = CivilIdentity("Lefèvre", "Zoë", None, born, Gender.FEMALE, "29019", "99100", "FRA")
    document = DocumentFacts("passport", "FRA", date(2034, 11, 2), b"k" * 32, "BAC", "k1:mark")
    return Evidence(
        path=EnrolmentPath.FACE,
        level=Level.SUBSTANTIAL,
        identity=person,
        document=document,
        email="zoe@courriel.example",
        checks=(),
        terms_version="2026-11",
        biometrics_consent_at=consent,
        agents=(),
        registry_checked_at=NOW,
        specimen=True,
    )


def test_what_the_receipt_says_is_kept_is_every_column_of_an_account() -> None:
    assert set(COLUMNS) == set(receipts.KEPT)
    tables = ("accounts", "phones", "journal")
    declared = {f"{name}.{column.name}" for name in tables for column in metadata.tables[name].columns}
    assert set().union(*COLUMNS.values()) == declared


def test_it_tells_the_terms_and_the_moment_of_consent_and_names_no_one(tmp_path: Path) -> None:
    ring = keys.create(tmp_path / "keys.bin", b"m" * 32, now=NOW, rng=secrets.token_bytes, host="localhost")
    told = {}
    for consent in (CONSENT, None):
        receipt = receipts.enrolment(ring, "http://localhost", evidence(consent), (), NOW)
        signer = ring.signing("issuer", NOW).private.public_key()
        told[consent] = jose.verify(receipt, signer, receipts.TYP)
    assert told[CONSENT]["terms_version"] == "2026-11"
    assert told[CONSENT]["biometrics_consent_at"] == "2026-11-21T09:27:12Z"
    assert told[None]["biometrics_consent_at"] is None
    assert not any(word in str(told) for word in ("Lefèvre", "Zoë", "1988", "courriel", "mark"))
