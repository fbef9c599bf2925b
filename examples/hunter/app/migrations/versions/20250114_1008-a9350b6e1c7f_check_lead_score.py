"""a lead's score lies between 0 and 100

Revision ID: a9350b6e1c7f
Revises: 72af08d5c9e4
Create Date: 2025-01-14 10:08:55+00:00
"""

from __future__ import annotations

from alembic import op

revision = "a9350b6e1c7f"
down_revision = "72af08d5c9e4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # In two steps: the first holds its lock for an instant, the second reads the table without blocking writers.
    op.execute("ALTER TABLE leads ADD CONSTRAINT ck_leads_score_range CHECK (score >= 0 AND score <= 100) NOT VALID")
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE leads VALIDATE CONSTRAINT ck_leads_score_range")


def downgrade() -> None:
    # op.f: this is the whole name, the naming convention of the models must not prefix it again.
    op.drop_constraint(op.f("ck_leads_score_range"), "leads", type_="check")
