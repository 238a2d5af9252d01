# SPDX-License-Identifier: Apache-2.0
"""Alarms, their history and the outbox."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# The types are spelt out: a migration says what the schema was, whatever later becomes of the code.
PLAIN = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
SHARD_COUNT = 64


def upgrade() -> None:
    _create_alarms()
    _create_shards()
    _create_history()
    _create_outbox()


def _create_alarms() -> None:
    op.create_table(
        "alarms",
        sa.Column("alarm_id", PLAIN, nullable=False),
        sa.Column("name", PLAIN, nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("type", PLAIN, nullable=False),
        sa.Column("rule", sa.JSON(), nullable=False),
        sa.Column("project_id", PLAIN, nullable=False),
        sa.Column("user_id", PLAIN, nullable=False),
        sa.Column("severity", PLAIN, nullable=False),
        sa.Column("ok_actions", sa.JSON(), nullable=False),
        sa.Column("alarm_actions", sa.JSON(), nullable=False),
        sa.Column("insufficient_data_actions", sa.JSON(), nullable=False),
        sa.Column("repeat_actions", sa.Boolean(), nullable=False),
        sa.Column("time_constraints", sa.JSON(), nullable=False),
        sa.Column("timestamp", MOMENT, nullable=False),
        sa.Column("state", PLAIN, nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=False),
        sa.Column("state_timestamp", MOMENT, nullable=False),
        sa.Column("evaluate_timestamp", MOMENT, nullable=True),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("revision", COUNTER, nullable=False),
        sa.Column("state_version", COUNTER, nullable=False),
        sa.Column("sequence", COUNTER, nullable=False),
        sa.PrimaryKeyConstraint("alarm_id", name="pk_alarms"),
    )
    op.create_index("ix_alarms_project_id_timestamp", "alarms", ["project_id", "timestamp", "alarm_id"])
    op.create_index("ix_alarms_timestamp", "alarms", ["timestamp", "alarm_id"])
    op.create_index("ix_alarms_shard_revision", "alarms", ["shard", "revision"], unique=True)


def _create_shards() -> None:
    op.create_table(
        "alarm_tombstones",
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", COUNTER, autoincrement=False, nullable=False),
        sa.Column("alarm_id", PLAIN, nullable=False),
        sa.Column("removed_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("shard", "revision", name="pk_alarm_tombstones"),
    )
    op.create_index("ix_alarm_tombstones_removed_at", "alarm_tombstones", ["removed_at"])
    shards = op.create_table(
        "shards",
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", COUNTER, nullable=False),
        sa.PrimaryKeyConstraint("shard", name="pk_shards"),
    )
    op.bulk_insert(shards, [{"shard": shard, "revision": 0} for shard in range(SHARD_COUNT)])


def _create_history() -> None:
    op.create_table(
        "alarm_history",
        sa.Column("position", COUNTER, autoincrement=True, nullable=False),
        sa.Column("event_id", PLAIN, nullable=False),
        sa.Column("alarm_id", PLAIN, nullable=False),
        sa.Column("type", PLAIN, nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("user_id", PLAIN, nullable=False),
        sa.Column("project_id", PLAIN, nullable=False),
        sa.Column("on_behalf_of", PLAIN, nullable=False),
        sa.Column("timestamp", MOMENT, nullable=False),
        sa.Column("severity", PLAIN, nullable=True),
        sa.PrimaryKeyConstraint("position", name="pk_alarm_history"),
        sa.UniqueConstraint("event_id", name="uq_alarm_history_event_id"),
    )
    op.create_index("ix_alarm_history_alarm_id_timestamp", "alarm_history", ["alarm_id", "timestamp", "position"])
    op.create_index("ix_alarm_history_timestamp", "alarm_history", ["timestamp"])


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("event_id", PLAIN, nullable=False),
        sa.Column("alarm_id", PLAIN, nullable=False),
        sa.Column("project_id", PLAIN, nullable=False),
        sa.Column("sequence", COUNTER, nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("lane", PLAIN, nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("state", PLAIN, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", MOMENT, nullable=False),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("event_id", name="pk_outbox"),
    )
    for name, columns, rows in (
        ("ix_outbox_due", ["next_attempt_at", "event_id"], "state = 'pending' AND lease_until IS NULL"),
        ("ix_outbox_leased", ["lease_until"], "state = 'pending' AND lease_until IS NOT NULL"),
        ("ix_outbox_lane", ["lane", "sequence"], "state = 'pending'"),
        ("ix_outbox_finished_at", ["finished_at"], "finished_at IS NOT NULL"),
    ):
        op.create_index(name, "outbox", columns, sqlite_where=sa.text(rows), postgresql_where=sa.text(rows))
    op.create_index("ix_outbox_project_id_created_at", "outbox", ["project_id", "created_at"])
    op.create_index("ix_outbox_alarm_id_sequence", "outbox", ["alarm_id", "sequence"])


def downgrade() -> None:
    for table in ("outbox", "alarm_history", "shards", "alarm_tombstones", "alarms"):
        op.drop_table(table)
