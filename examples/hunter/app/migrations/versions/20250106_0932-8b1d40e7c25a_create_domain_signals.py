"""create domain signals

Revision ID: 8b1d40e7c25a
Revises: 3f2a9c81d4b7
Create Date: 2025-01-06 09:32:51+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "8b1d40e7c25a"
down_revision = "3f2a9c81d4b7"
branch_labels = None
depends_on = None

signal_kind = postgresql.ENUM("mx", "spf", "dkim", "dmarc", "tenant", name="signal_kind", create_type=False)


def upgrade() -> None:
    signal_kind.create(op.get_bind())
    op.create_table(
        "domain_signals",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", signal_kind, nullable=False),
        sa.Column("value", sa.Text()),
        sa.Column("details", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("observed_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_domain_signals"),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name="fk_domain_signals_company_id_companies", ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    op.drop_table("domain_signals")
    signal_kind.drop(op.get_bind())
