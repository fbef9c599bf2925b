"""view lead_pipeline for the analysts

Revision ID: f4b72c918e05
Revises: 06d8e2f47b93
Create Date: 2025-01-17 09:17:36+00:00
"""

from __future__ import annotations

from alembic import op

revision = "f4b72c918e05"
down_revision = "06d8e2f47b93"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE VIEW lead_pipeline AS
        SELECT l.id, c.domain, c.country, l.full_name, l.status, l.score, l.created_at
          FROM leads l
          JOIN companies c ON c.id = l.company_id
         WHERE l.status <> 'lost'
        """
    )


def downgrade() -> None:
    op.execute("DROP VIEW lead_pipeline")
