"""Notices the provider is owed."""

import sqlalchemy as sa
from alembic import op

from alicem.store import Int64

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "notices",
        sa.Column("number", sa.Integer, primary_key=True, comment="rises with each notice of a document"),
        sa.Column("reference", sa.String(64), nullable=False, unique=True, comment="random"),
        sa.Column("document", sa.Integer, sa.ForeignKey("documents.row"), nullable=False, index=True),
        sa.Column("notice", sa.String(9), nullable=False, comment="lost, stolen, cancelled or deceased"),
        sa.Column("at", Int64, nullable=False, comment="Unix time of the declaration"),
        sa.Column("refused", sa.Integer, nullable=False, comment="how often the provider called it malformed"),
        sa.Column("due", Int64, nullable=False, comment="Unix time before which it is not sent again"),
    )
