"""create scan jobs

Revision ID: 2c8e6d50a7b1
Revises: f4b72c918e05
Create Date: 2025-01-19 11:51:02+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "2c8e6d50a7b1"
down_revision = "f4b72c918e05"
branch_labels = None
depends_on = None

job_state = postgresql.ENUM("queued", "done", "failed", name="job_state", create_type=False)


def upgrade() -> None:
    job_state.create(op.get_bind())
    op.create_table(
        "scan_jobs",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("domain", sa.String(253), nullable=False),
        sa.Column("state", job_state, server_default="queued", nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_scan_jobs"),
    )
    op.create_index("ix_scan_jobs_state", "scan_jobs", ["state"])


def downgrade() -> None:
    op.drop_index("ix_scan_jobs_state", table_name="scan_jobs")
    op.drop_table("scan_jobs")
    job_state.drop(op.get_bind())
