"""Browsers recognised, the citizen's history and blocks, letters; what expires is found by it."""

import sqlalchemy as sa
from alembic import op

from alicem.store import Int64

revision = "0002"
down_revision = "0001"

EXPIRING = ("sign_ins", "codes", "redeemed", "tokens")


def upgrade() -> None:
    for table in EXPIRING:
        op.create_index(f"ix_{table}_expires", table, ["expires"])
    _short_lived()
    _kept()


def _short_lived() -> None:
    op.create_table(
        "sessions",
        sa.Column("cookie", sa.String(64), primary_key=True, comment="SHA-256"),
        sa.Column("expires", Int64, nullable=False, index=True),
        sa.Column("provider", sa.String(40), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "assertions",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("expires", Int64, nullable=False, index=True),
    )
    op.create_table(
        "sign_outs",
        sa.Column("state", sa.String(64), primary_key=True),
        sa.Column("expires", Int64, nullable=False, index=True),
        sa.Column("back", sa.Text, nullable=False),
    )


def _kept() -> None:
    op.create_table(
        "history",
        sa.Column("code", sa.String(12), primary_key=True),
        sa.Column("person", sa.String(64), nullable=False, index=True),
        sa.Column("at", Int64, nullable=False, index=True),
        sa.Column("service", sa.String(80), nullable=False),
        sa.Column("provider", sa.String(40), nullable=False),
        sa.Column("level", sa.String(8), nullable=False),
        sa.Column("data", sa.String(200), nullable=False),
        sa.Column("anew", sa.Boolean, nullable=False),
        sa.Column("reported", Int64),
    )
    op.create_table(
        "blocks",
        sa.Column("person", sa.String(64), primary_key=True),
        sa.Column("provider", sa.String(40), primary_key=True),
        sa.Column("since", Int64, nullable=False),
    )
    op.create_table(
        "browsers",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("expires", Int64, nullable=False, index=True),
    )
    op.create_table(
        "letters",
        sa.Column("id", sa.String(43), primary_key=True),
        sa.Column("due", Int64, nullable=False, index=True),
        sa.Column("expires", Int64, nullable=False, index=True),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
