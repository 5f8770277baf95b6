"""The rows of one account are found without reading the whole journal: erasing it costs the same however long that is.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    named = sa.text("account IS NOT NULL")
    op.create_index("journal_of_account", "journal", ["account"], sqlite_where=named, postgresql_where=named)
