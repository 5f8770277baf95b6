"""Sign-ins under way, codes, tokens."""

import sqlalchemy as sa
from alembic import op

from alicem.store import Int64

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "sign_ins",
        sa.Column("id", sa.String(43), primary_key=True),
        sa.Column("browser", sa.String(64), nullable=False, comment="SHA-256 of the cookie"),
        sa.Column("expires", Int64, nullable=False),
        sa.Column("request", sa.Text, nullable=False, comment="what the service asked, JSON"),
        sa.Column("provider", sa.String(40)),
        sa.Column("state", sa.String(64), unique=True),
        sa.Column("nonce", sa.String(64)),
        sa.Column("identity", sa.LargeBinary),
        sa.Column("failure", sa.String(40)),
    )
    op.create_table(
        "codes",
        sa.Column("code", sa.String(64), primary_key=True, comment="SHA-256"),
        sa.Column("expires", Int64, nullable=False),
        sa.Column("client", sa.String(80), nullable=False),
        sa.Column("redirect_uri", sa.Text, nullable=False),
        sa.Column("challenge", sa.String(43), comment="PKCE S256"),
        sa.Column("answer", sa.LargeBinary, nullable=False, comment="sealed to the code"),
    )
    op.create_table(
        "redeemed",
        sa.Column("code", sa.String(64), primary_key=True, comment="SHA-256"),
        sa.Column("expires", Int64, nullable=False),
        sa.Column("token", sa.String(64), nullable=False),
    )
    op.create_table(
        "tokens",
        sa.Column("token", sa.String(64), primary_key=True, comment="SHA-256"),
        sa.Column("expires", Int64, nullable=False),
        sa.Column("client", sa.String(80), nullable=False),
        sa.Column("answer", sa.LargeBinary, nullable=False, comment="sealed to the token"),
    )
