"""create companies

Revision ID: 3f2a9c81d4b7
Revises:
Create Date: 2025-01-05 10:10:22+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "3f2a9c81d4b7"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "companies",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("domain", sa.String(253), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("city", sa.Text()),
        sa.Column("annual_revenue", sa.Numeric(14, 2)),
        sa.Column("profile", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("note", sa.Text()),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_companies"),
        sa.UniqueConstraint("domain", name="uq_companies_domain"),
    )


def downgrade() -> None:
    op.drop_table("companies")
