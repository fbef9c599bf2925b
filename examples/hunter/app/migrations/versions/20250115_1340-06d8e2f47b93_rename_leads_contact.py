"""rename leads.contact to full_name

Revision ID: 06d8e2f47b93
Revises: a9350b6e1c7f
Create Date: 2025-01-15 13:40:18+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "06d8e2f47b93"
down_revision = "a9350b6e1c7f"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("leads") as leads:
        leads.alter_column("contact", new_column_name="full_name", existing_type=sa.Text())


def downgrade() -> None:
    with op.batch_alter_table("leads") as leads:
        leads.alter_column("full_name", new_column_name="contact", existing_type=sa.Text())
