"""There are several status lists, and every worker sees when one of them changed.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from alicem.store import Int64

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "status_lists",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("version", Int64, nullable=False),
    )
    op.execute("INSERT INTO status_lists (number, version) VALUES (0, 0)")
