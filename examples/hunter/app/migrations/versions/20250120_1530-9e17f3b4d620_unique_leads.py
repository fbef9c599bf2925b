"""one lead per company and e-mail address

Revision ID: 9e17f3b4d620
Revises: 2c8e6d50a7b1
Create Date: 2025-01-20 15:30:44+00:00
"""

from __future__ import annotations

from alembic import op

revision = "9e17f3b4d620"
down_revision = "2c8e6d50a7b1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_unique_constraint("uq_leads_company_id_email", "leads", ["company_id", "email"])


def downgrade() -> None:
    op.drop_constraint("uq_leads_company_id_email", "leads", type_="unique")
