"""What clients send once: pushed requests, proofs that were used, and the key a code is bound to.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from alicem.store import Int64

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "pushed_requests",
        sa.Column("request_hash", sa.LargeBinary, primary_key=True),
        sa.Column("client_id", sa.String(200), nullable=False),
        sa.Column("expires_at", Int64, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "spent_proofs",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("expires_at", Int64, nullable=False),
    )
    op.create_index("ix_pushed_requests_expires_at", "pushed_requests", ["expires_at"])
    op.create_index("ix_spent_proofs_expires_at", "spent_proofs", ["expires_at"])
    op.add_column("signins", sa.Column("dpop_jkt", sa.String(43)))
