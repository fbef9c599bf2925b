"""index leads.phone

Revision ID: 19b7f60c3d42
Revises: 7e4d21c9a058
Create Date: 2025-02-03 14:32:54+00:00
"""

from __future__ import annotations

from alembic import op

revision = "19b7f60c3d42"
down_revision = "7e4d21c9a058"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index("ix_leads_phone", "leads", ["phone"], postgresql_concurrently=True)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_leads_phone", table_name="leads", postgresql_concurrently=True)
