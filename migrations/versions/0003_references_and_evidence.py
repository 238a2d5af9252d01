# SPDX-License-Identifier: Apache-2.0
"""Which alarms refer to which, and what transitions were found from."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

PLAIN = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "alarm_references",
        sa.Column("alarm_id", PLAIN, nullable=False),
        sa.Column("referenced_id", PLAIN, nullable=False),
        sa.PrimaryKeyConstraint("alarm_id", "referenced_id", name="pk_alarm_references"),
        sa.ForeignKeyConstraint(
            ["alarm_id"], ["alarms.alarm_id"], name="fk_alarm_references_alarm_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_alarm_references_referenced_id", "alarm_references", ["referenced_id", "alarm_id"])
    op.add_column("alarm_history", sa.Column("evidence", sa.JSON(none_as_null=True)))
