"""How often somebody does a thing is counted for all workers, under a keyed hash.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from alicem.store import Int64

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "limits",
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("ends", Int64, nullable=False),
    )
    op.create_index("ix_limits_ends", "limits", ["ends"])
