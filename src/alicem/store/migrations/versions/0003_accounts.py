"""An account's phones each have their own stage, level, credential status and passkey; challenges are kept once spent, not before.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for column in (
        sa.Column("passkey", sa.String(200)),
        sa.Column("stage", sa.String(10), nullable=False, server_default="active"),
        sa.Column("level", sa.SmallInteger, nullable=False, server_default="1"),
        sa.Column("status_index", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_pin_key", sa.LargeBinary),
    ):
        op.add_column("phones", column)
    of_account = "(SELECT {} FROM accounts WHERE number = phones.account)"
    op.execute(f"UPDATE phones SET level = {of_account.format('level')}")  # noqa: S608 - our own words alone
    op.execute(f"UPDATE phones SET status_index = {of_account.format('status_index')}")  # noqa: S608
    op.execute(f"UPDATE phones SET stage = 'issued' WHERE {of_account.format('state')} = 'enrolled'")  # noqa: S608
    op.drop_column("accounts", "level")
    op.drop_column("accounts", "status_index")
    op.execute("DELETE FROM challenges")
