"""add companies.country and fill it from the domain

Revision ID: e1c6730f9b2d
Revises: 5d94b2e3a071
Create Date: 2025-01-10 08:45:13+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "e1c6730f9b2d"
down_revision = "5d94b2e3a071"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("companies", sa.Column("country", sa.CHAR(2)))
    op.execute(
        """
        UPDATE companies
           SET country = CASE WHEN domain LIKE '%.de' THEN 'DE' WHEN domain LIKE '%.uk' THEN 'GB' ELSE 'TR' END
        """
    )
    op.alter_column("companies", "country", nullable=False, server_default="TR")


def downgrade() -> None:
    op.drop_column("companies", "country")
