"""A list says what an index nobody was given means: after a restore, that of a credential nobody knows any more.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("status_lists", sa.Column("free", sa.SmallInteger, nullable=False, server_default="0"))
