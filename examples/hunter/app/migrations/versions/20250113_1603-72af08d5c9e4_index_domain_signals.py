"""index domain signals by company and time

Revision ID: 72af08d5c9e4
Revises: e1c6730f9b2d
Create Date: 2025-01-13 16:03:29+00:00
"""

from __future__ import annotations

from alembic import op

revision = "72af08d5c9e4"
down_revision = "e1c6730f9b2d"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The table is written to all day: build the index beside the writers, outside a transaction.
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_domain_signals_company_id_observed_at",
            "domain_signals",
            ["company_id", "observed_at"],
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index(
            "ix_domain_signals_company_id_observed_at",
            table_name="domain_signals",
            postgresql_concurrently=True,
            if_exists=True,
        )
