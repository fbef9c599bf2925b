"""create leads

Revision ID: c07e5a93f618
Revises: 8b1d40e7c25a
Create Date: 2025-01-08 14:15:07+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "c07e5a93f618"
down_revision = "8b1d40e7c25a"
branch_labels = None
depends_on = None

lead_status = postgresql.ENUM("new", "qualified", "contacted", "won", "lost", name="lead_status", create_type=False)


def upgrade() -> None:
    lead_status.create(op.get_bind())
    op.create_table(
        "leads",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("contact", sa.Text()),
        sa.Column("status", lead_status, server_default="new", nullable=False),
        sa.Column("score", sa.Numeric(5, 2), server_default="0", nullable=False),
        sa.Column("note", sa.Text()),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_leads"),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name="fk_leads_company_id_companies"),
    )
    op.create_index("ix_leads_status", "leads", ["status"])


def downgrade() -> None:
    op.drop_index("ix_leads_status", table_name="leads")
    op.drop_table("leads")
    lead_status.drop(op.get_bind())
