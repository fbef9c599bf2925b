"""add campaigns and leads.source

Revision ID: b83f5e02d6ca
Revises: d6a0985c3e1f
Create Date: 2025-01-27 09:50:16+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "b83f5e02d6ca"
down_revision = "d6a0985c3e1f"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "campaigns",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_campaigns"),
        sa.UniqueConstraint("name", name="uq_campaigns_name"),
    )
    op.execute("INSERT INTO campaigns (name) VALUES ('Açılış kampanyası'), ('Spring mailing')")
    op.add_column("leads", sa.Column("source", sa.Text()))


def downgrade() -> None:
    op.drop_column("leads", "source")
    op.drop_table("campaigns")
