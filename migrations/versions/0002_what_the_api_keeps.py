# SPDX-License-Identifier: Apache-2.0
"""What Aodh's API asks to be kept: quotas, tokens, counters, trusts; and indexes for its queries."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

PLAIN = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("alarms", sa.Column("confined", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("alarms", sa.Column("trust_id", sa.Text(), nullable=False, server_default=""))
    op.create_index("ix_alarms_project_id_type", "alarms", ["project_id", "type"])
    op.create_index("ix_alarms_name", "alarms", ["name"])
    op.create_index("ix_alarms_user_id", "alarms", ["user_id"])
    op.create_index(
        "ix_alarm_history_on_behalf_of_timestamp", "alarm_history", ["on_behalf_of", "timestamp", "position"]
    )
    op.create_table(
        "quotas",
        sa.Column("project_id", PLAIN, nullable=False),
        sa.Column("alarm_limit", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", name="pk_quotas"),
    )
    op.create_table(
        "alarm_counters",
        sa.Column("alarm_id", PLAIN, nullable=False),
        sa.Column("ok", COUNTER, nullable=False),
        sa.Column("alarm", COUNTER, nullable=False),
        sa.Column("insufficient_data", COUNTER, nullable=False),
        sa.PrimaryKeyConstraint("alarm_id", name="pk_alarm_counters"),
        sa.ForeignKeyConstraint(
            ["alarm_id"], ["alarms.alarm_id"], name="fk_alarm_counters_alarm_id", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "imports",
        sa.Column("kind", PLAIN, nullable=False),
        sa.Column("key", PLAIN, nullable=False),
        sa.Column("digest", PLAIN, nullable=False),
        sa.PrimaryKeyConstraint("kind", "key", name="pk_imports"),
    )
    op.create_table(
        "tokens",
        sa.Column("token_id", PLAIN, nullable=False),
        sa.Column("digest", PLAIN, nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("project_id", PLAIN, nullable=False),
        sa.Column("user_id", PLAIN, nullable=False),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT),
        sa.PrimaryKeyConstraint("token_id", name="pk_tokens"),
        sa.UniqueConstraint("digest", name="uq_tokens_digest"),
    )
