"""Tables of accounts, phones, the security code and face tries. Nothing in them names a person (docs/data.md)."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, SmallInteger, String, Table

from alicem.store import Int64, metadata

accounts = Table(
    "accounts",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False, comment="random; known to server and phones"),
    Column("state", String(10), nullable=False),
    Column("used_month", String(7), nullable=False, comment="YYYY-MM of the last use"),
    Column("checked_month", String(7), nullable=False, comment="YYYY-MM of the identity check"),
    Column(
        "fingerprint", String(100), nullable=False, unique=True, comment="keyed hash of the document, with its key id"
    ),
    Column("suspension", LargeBinary, nullable=False, unique=True, comment="SHA-256 of the suspension code"),
)

phones = Table(
    "phones",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account", ForeignKey("accounts.number", ondelete="CASCADE"), nullable=False, index=True),
    Column("thumbprint", String(43), nullable=False, unique=True, comment="RFC 7638 of the device public key"),
    Column("device_key", String(200), nullable=False, comment="device public key, JWK"),
    Column("key_kind", String(20), nullable=False, comment="keystore, passkey, passkey_synced, webcrypto or software"),
    Column("passkey", String(200), comment="public key of the passkey, JWK; other kinds have none"),
    Column("stage", String(10), nullable=False, comment="issued, joining, active or void"),
    Column("level", SmallInteger, nullable=False, comment="1 low, 2 substantial, 3 high"),
    Column("status_index", Integer, nullable=False, comment="where the status list tells of its credential"),
    Column("pin_key", LargeBinary, nullable=False, comment="PIN public key, encrypted at rest"),
    Column("next_pin_key", LargeBinary, comment="while the code is being changed: the new one, encrypted at rest"),
    Column("share", LargeBinary, nullable=False, comment="the server's half of the vault key, encrypted at rest"),
    Column("sequence", BigInteger, nullable=False, comment="highest instruction number seen"),
    Column("used", SmallInteger, nullable=False, comment="wrong codes since the last right one, 0 to 16"),
    Column("paused_until", Int64, nullable=False, comment="Unix time"),
    Column("last_instruction", LargeBinary, comment="SHA-256 of the instruction under `sequence`"),
    Column("last_outcome", String(20), comment="counted, done, code_wrong, or why a right code did nothing"),
)

challenges = Table(
    "challenges",
    metadata,
    Column("digest", LargeBinary, primary_key=True, comment="SHA-256 of a challenge that was spent"),
    Column("expires", Int64, nullable=False),
)

approvals = Table(
    "approvals",
    metadata,
    Column("digest", LargeBinary, primary_key=True, comment="SHA-256 of request object and number"),
    Column("phone", ForeignKey("phones.id", ondelete="CASCADE"), nullable=False),
    Column("expires", Int64, nullable=False),
)

face_tries = Table(
    "face_tries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("fingerprint", String(100), nullable=False, index=True, comment="keyed hash of the document"),
    Column("at", Int64, nullable=False, comment="Unix time"),
    Column("counted", SmallInteger, nullable=False, comment="1 for a refusal that counts, 0 for a try that broke off"),
)
