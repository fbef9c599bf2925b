"""pseudonymise leads, normalise names and signals

Revision ID: 4ac9d7180e3b
Revises: b83f5e02d6ca
Create Date: 2025-01-27 16:22:09+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "4ac9d7180e3b"
down_revision = "b83f5e02d6ca"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Addresses that differ in case only would get the same hash: keep the oldest lead of each.
    op.execute(
        """
        DELETE FROM leads l
         USING leads older
         WHERE older.company_id = l.company_id
           AND lower(older.email) = lower(l.email)
           AND older.id < l.id
        """
    )
    op.add_column("leads", sa.Column("display_name", sa.Text()))
    op.execute(
        r"""
        UPDATE leads
           SET email = encode(sha256(convert_to(lower(email), 'UTF8')), 'hex'),
               display_name = lower(regexp_replace(full_name, '\s+', ' ', 'g'))
        """
    )
    op.execute("DROP VIEW lead_pipeline")
    op.drop_column("leads", "full_name")
    op.execute(
        """
        CREATE VIEW lead_pipeline AS
        SELECT l.id, c.domain, c.country, l.display_name, l.status, l.score, l.created_at
          FROM leads l
          JOIN companies c ON c.id = l.company_id
         WHERE l.status <> 'lost'
        """
    )

    op.execute(
        """
        UPDATE domain_signals
           SET details = details || jsonb_build_object('value', left(lower(value), 40))
         WHERE value IS NOT NULL
        """
    )
    op.drop_column("domain_signals", "value")


def downgrade() -> None:
    # The addresses are hashes now, there is nothing to bring back.
    pass
