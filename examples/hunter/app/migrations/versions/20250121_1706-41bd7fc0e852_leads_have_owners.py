"""leads have owners

Revision ID: 41bd7fc0e852
Revises: 9e17f3b4d620
Create Date: 2025-01-21 17:06:11+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "41bd7fc0e852"
down_revision = "9e17f3b4d620"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("leads", sa.Column("owner_id", sa.BigInteger()))
    op.create_foreign_key("fk_leads_owner_id_users", "leads", "users", ["owner_id"], ["id"], ondelete="SET NULL")


def downgrade() -> None:
    op.drop_constraint("fk_leads_owner_id_users", "leads", type_="foreignkey")
    op.drop_column("leads", "owner_id")
