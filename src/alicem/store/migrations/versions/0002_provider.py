"""Sign-ins, codes and access tokens of the provider.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from alicem.store import Int64

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "signins",
        sa.Column("signin", sa.String(22), primary_key=True),
        sa.Column("expires_at", Int64, nullable=False, index=True),
        sa.Column("client_id", sa.String(200), nullable=False),
        sa.Column("redirect_uri", sa.String(2000), nullable=False),
        sa.Column("scope", sa.String(400), nullable=False),
        sa.Column("state", sa.String(1024)),
        sa.Column("nonce", sa.String(512)),
        sa.Column("challenge", sa.String(43)),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("browser_key", sa.LargeBinary, nullable=False),
        sa.Column("request_object", sa.Text, nullable=False),
        sa.Column("response_salt", sa.LargeBinary, nullable=False),
        sa.Column("outcome", sa.String(40), nullable=False),
        sa.Column("claims", sa.Text),
    )
    op.create_table(
        "codes",
        sa.Column("code_hash", sa.LargeBinary, primary_key=True),
        sa.Column("expires_at", Int64, nullable=False, index=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "access_tokens",
        sa.Column("token_hash", sa.LargeBinary, primary_key=True),
        sa.Column("code_hash", sa.LargeBinary, nullable=False, index=True),
        sa.Column("expires_at", Int64, nullable=False, index=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
