"""leads have phones and calls

Revision ID: 7e4d21c9a058
Revises: b83f5e02d6ca
Create Date: 2025-02-03 11:05:31+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "7e4d21c9a058"
down_revision = "b83f5e02d6ca"
branch_labels = None
depends_on = None

call_result = postgresql.ENUM("reached", "busy", "wrong_number", name="call_result", create_type=False)


def upgrade() -> None:
    call_result.create(op.get_bind())
    op.create_table(
        "calls",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("lead_id", sa.BigInteger(), nullable=False),
        sa.Column("result", call_result, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_calls"),
        sa.ForeignKeyConstraint(["lead_id"], ["leads.id"], name="fk_calls_lead_id_leads", ondelete="CASCADE"),
    )
    op.add_column("leads", sa.Column("phone", sa.String(32)))
    op.alter_column("scan_jobs", "domain", type_=sa.String(512), existing_type=sa.String(253), existing_nullable=False)


def downgrade() -> None:
    op.alter_column("scan_jobs", "domain", type_=sa.String(253), existing_type=sa.String(512), existing_nullable=False)
    op.drop_column("leads", "phone")
    op.drop_table("calls")
    call_result.drop(op.get_bind())
