"""generate leads.email_domain

Revision ID: d6a0985c3e1f
Revises: 41bd7fc0e852
Create Date: 2025-01-22 10:24:33+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "d6a0985c3e1f"
down_revision = "41bd7fc0e852"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "leads",
        sa.Column("email_domain", sa.Text(), sa.Computed("lower(split_part(email, '@', 2))", persisted=True)),
    )


def downgrade() -> None:
    op.drop_column("leads", "email_domain")
