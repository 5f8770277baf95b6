"""People, documents, letters."""

import sqlalchemy as sa
from alembic import op

from alicem.store import Int64

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "persons",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("family_name", sa.String(256), nullable=False),
        sa.Column("given_names", sa.String(256), nullable=False),
        sa.Column("usage_name", sa.String(256)),
        sa.Column("gender", sa.String(11), nullable=False),
        sa.Column("birthdate", sa.String(10), nullable=False, comment="YYYY-MM-DD, 00 for unknown parts"),
        sa.Column("birthplace_cog", sa.String(5), nullable=False, comment="empty when born abroad"),
        sa.Column("birthcountry_cog", sa.String(5), nullable=False),
        sa.Column("address", sa.Text, nullable=False, comment="lines of a postal address"),
        sa.Column("deceased", sa.Boolean, nullable=False),
    )
    op.create_table(
        "documents",
        sa.Column("row", sa.Integer, primary_key=True),
        sa.Column("person", sa.Integer, sa.ForeignKey("persons.number"), nullable=False),
        sa.Column("issuer", sa.String(3), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("number", sa.String(22), nullable=False),
        sa.Column("birth_date", sa.String(6), nullable=False, comment="as in the machine-readable zone"),
        sa.Column("expiry_date", sa.String(6), nullable=False, comment="as in the machine-readable zone"),
        sa.Column("status", sa.String(9), nullable=False, comment="valid, lost, stolen or cancelled"),
        sa.UniqueConstraint("issuer", "kind", "number", name="one_document"),
    )
    op.create_table(
        "letters",
        sa.Column("reference", sa.String(64), primary_key=True, comment="chosen by the caller"),
        sa.Column("person", sa.Integer, sa.ForeignKey("persons.number"), nullable=False),
        sa.Column("notice", sa.String(16), nullable=False),
        sa.Column("at", Int64, nullable=False, comment="Unix time of what the letter tells of"),
        sa.Column("carried_at", Int64, comment="Unix time; null until the carrier has it"),
    )
