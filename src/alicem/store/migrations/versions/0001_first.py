"""Journal, status, accounts and phones."""

import sqlalchemy as sa
from alembic import op

from alicem.store import Int64

revision = "0001"
down_revision = None


def upgrade() -> None:
    _journal()
    _accounts()
    _phones()
    op.create_table(
        "face_tries",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("fingerprint", sa.String(100), nullable=False, index=True),
        sa.Column("at", Int64, nullable=False),
        sa.Column("counted", sa.SmallInteger, nullable=False),
    )


def _journal() -> None:
    op.create_table(
        "journal",
        sa.Column("number", Int64, primary_key=True),
        sa.Column("at", Int64, nullable=False),
        sa.Column("event", sa.String(40), nullable=False),
        sa.Column("account", sa.BigInteger),
        sa.Column("salt", sa.LargeBinary),
        sa.Column("content", sa.LargeBinary),
        sa.Column("digest", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "journal_segments",
        sa.Column("number", Int64, primary_key=True),
        sa.Column("first", Int64, nullable=False),
        sa.Column("last", Int64, nullable=False),
        sa.Column("at", Int64, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("previous", sa.LargeBinary, nullable=False),
        sa.Column("seal", sa.String, nullable=False),
    )


def _accounts() -> None:
    op.create_table(
        "statuses",
        sa.Column("idx", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("value", sa.SmallInteger, nullable=False),
    )
    op.create_table(
        "accounts",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("level", sa.SmallInteger, nullable=False),
        sa.Column("used_month", sa.String(7), nullable=False),
        sa.Column("checked_month", sa.String(7), nullable=False),
        sa.Column("fingerprint", sa.String(100), nullable=False, unique=True),
        sa.Column("suspension", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("status_index", sa.Integer, nullable=False),
    )


def _phones() -> None:
    op.create_table(
        "phones",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "account", sa.BigInteger, sa.ForeignKey("accounts.number", ondelete="CASCADE"), nullable=False, index=True
        ),
        sa.Column("thumbprint", sa.String(43), nullable=False, unique=True),
        sa.Column("device_key", sa.String(200), nullable=False),
        sa.Column("key_kind", sa.String(20), nullable=False),
        sa.Column("pin_key", sa.LargeBinary, nullable=False),
        sa.Column("share", sa.LargeBinary, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("used", sa.SmallInteger, nullable=False),
        sa.Column("paused_until", Int64, nullable=False),
        sa.Column("last_instruction", sa.LargeBinary),
        sa.Column("last_outcome", sa.String(20)),
    )
    op.create_table(
        "challenges",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("expires", Int64, nullable=False),
    )
    op.create_table(
        "approvals",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("phone", sa.Integer, sa.ForeignKey("phones.id", ondelete="CASCADE"), nullable=False),
        sa.Column("expires", Int64, nullable=False),
    )
