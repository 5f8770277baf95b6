"""A document read again at a sign-in leaves what it proved until the phone shows its credential.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from alicem.store import Int64

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "chip_proofs",
        sa.Column("signin", sa.String(22), primary_key=True),
        sa.Column("expires_at", Int64, nullable=False),
        sa.Column("proof", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_chip_proofs_expires_at", "chip_proofs", ["expires_at"])
