# SPDX-License-Identifier: Apache-2.0
"""What deliveries need to be fair, in time, signed and safe: directions, expiry, silences, secrets, the breaker."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

PLAIN = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)
NOTHING = sa.text("'{}'")
WAITING = sa.text("state = 'pending' AND lease_until IS NULL")
PASSING = sa.text("state = 'pending' AND lease_until IS NULL AND not_after IS NOT NULL")
PENDING = sa.text("state = 'pending'")
PAST_WAITING = sa.text("state <> 'pending'")
HELD = sa.text("state = 'held'")


def upgrade() -> None:
    alarms: tuple[sa.Column[Any], ...] = (
        sa.Column("labels", sa.JSON(), nullable=False, server_default=NOTHING),
        sa.Column("directions", sa.JSON(), nullable=False, server_default=NOTHING),
        sa.Column("repeat_interval_s", sa.Integer()),
        sa.Column("signing_secret", sa.Text(), nullable=False, server_default=""),
    )
    for column in alarms:
        op.add_column("alarms", column)
    if op.get_bind().dialect.name == "postgresql":
        # Room for a second version of each row in its page: a tick that turns every alarm then touches none of the
        # table's seven indexes, and its update takes a quarter of the time.
        op.execute("ALTER TABLE alarms SET (fillfactor = 50)")
    # What waits from before has no origin: all of it counts as one receiver, and is delivered all the same.
    outbox: tuple[sa.Column[Any], ...] = (
        sa.Column("origin", PLAIN, nullable=False, server_default=""),
        sa.Column("direction", PLAIN, nullable=False, server_default="neutral"),
        sa.Column("not_after", MOMENT),
        sa.Column("signing_secret", sa.Text(), nullable=False, server_default=""),
        sa.Column("sampled_at", MOMENT),
        sa.Column("traceparent", sa.Text(), nullable=False, server_default=""),
    )
    for column in outbox:
        op.add_column("outbox", column)
    op.create_index(
        "ix_outbox_queue",
        "outbox",
        ["origin", "project_id", "next_attempt_at", "event_id"],
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    )
    op.drop_index("ix_outbox_due", "outbox")
    op.create_index("ix_outbox_not_after", "outbox", ["not_after"], sqlite_where=PASSING, postgresql_where=PASSING)
    op.create_index(
        "ix_outbox_created_at", "outbox", ["created_at", "event_id"], sqlite_where=PENDING, postgresql_where=PENDING
    )
    op.create_index(
        "ix_outbox_state_created_at",
        "outbox",
        ["state", "created_at", "event_id"],
        sqlite_where=PAST_WAITING,
        postgresql_where=PAST_WAITING,
    )
    op.create_index("ix_outbox_held", "outbox", ["created_at", "event_id"], sqlite_where=HELD, postgresql_where=HELD)
    op.create_index("ix_outbox_held_lane", "outbox", ["lane"], sqlite_where=HELD, postgresql_where=HELD)
    op.create_table(
        "disabled_targets",
        sa.Column("lane", PLAIN, nullable=False),
        sa.Column("alarm_id", PLAIN, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("disabled_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("lane", name="pk_disabled_targets"),
        sa.ForeignKeyConstraint(
            ["alarm_id"], ["alarms.alarm_id"], name="fk_disabled_targets_alarm_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_disabled_targets_alarm_id", "disabled_targets", ["alarm_id"])
    op.create_table(
        "signing_secrets",
        sa.Column("secret_id", PLAIN, nullable=False),
        sa.Column("project_id", PLAIN, nullable=False),
        sa.Column("name", PLAIN, nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT),
        sa.PrimaryKeyConstraint("secret_id", name="pk_signing_secrets"),
    )
    op.create_index("ix_signing_secrets_project_id_name", "signing_secrets", ["project_id", "name", "created_at"])
    op.create_table(
        "silences",
        sa.Column("silence_id", PLAIN, nullable=False),
        sa.Column("project_id", PLAIN),
        sa.Column("author", PLAIN, nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("alarm_id", PLAIN),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("direction", PLAIN),
        sa.Column("starts_at", MOMENT, nullable=False),
        sa.Column("ends_at", MOMENT, nullable=False),
        sa.Column("time_constraints", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("ended_by", sa.Text(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("silence_id", name="pk_silences"),
    )
    op.create_index("ix_silences_ends_at", "silences", ["ends_at"])
    op.create_index("ix_silences_project_id", "silences", ["project_id", "ends_at"])
    op.create_table(
        "breaker",
        sa.Column("owner", PLAIN, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("owner", name="pk_breaker"),
    )
