# SPDX-License-Identifier: Apache-2.0
"""The tables. `migrations/` must lead to exactly this; a test compares the two on every database."""

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, Integer, MetaData, Table, Text, text, true

from alarmd.store.columns import BigCounter, PlainText, UtcDateTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

alarms = Table(
    "alarms",
    metadata,
    Column("alarm_id", PlainText, primary_key=True),
    Column("name", PlainText, nullable=False),
    Column("description", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("type", PlainText, nullable=False),
    Column("rule", JSON, nullable=False),
    Column("confined", Boolean, nullable=False, server_default=true()),
    Column("project_id", PlainText, nullable=False),
    Column("user_id", PlainText, nullable=False),
    Column("severity", PlainText, nullable=False),
    Column("ok_actions", JSON, nullable=False),
    Column("alarm_actions", JSON, nullable=False),
    Column("insufficient_data_actions", JSON, nullable=False),
    Column("repeat_actions", Boolean, nullable=False),
    Column("time_constraints", JSON, nullable=False),
    Column("labels", JSON, nullable=False, server_default=text("'{}'")),
    Column("directions", JSON, nullable=False, server_default=text("'{}'")),
    # NULL: as often as the settings say.
    Column("repeat_interval_s", Integer),
    Column("signing_secret", Text, nullable=False, server_default=""),
    Column("trust_id", Text, nullable=False, server_default=""),
    Column("timestamp", UtcDateTime, nullable=False),
    Column("state", PlainText, nullable=False),
    Column("state_reason", Text, nullable=False),
    Column("state_timestamp", UtcDateTime, nullable=False),
    Column("evaluate_timestamp", UtcDateTime),
    Column("shard", Integer, nullable=False),
    Column("revision", BigCounter, nullable=False),
    Column("state_version", BigCounter, nullable=False),
    Column("sequence", BigCounter, nullable=False),
    # Lists are newest first, of one project or of all.
    Index("ix_alarms_project_id_timestamp", "project_id", "timestamp", "alarm_id"),
    Index("ix_alarms_timestamp", "timestamp", "alarm_id"),
    # Events ask for the event alarms of their project.
    Index("ix_alarms_project_id_type", "project_id", "type"),
    # People and engines look alarms up by name; quotas count those of a user.
    Index("ix_alarms_name", "name"),
    Index("ix_alarms_user_id", "user_id"),
    # How evaluators follow definitions.
    Index("ix_alarms_shard_revision", "shard", "revision", unique=True),
)

#: What is left of an alarm that was deleted from a shard, or left it, for those who follow the shard.
alarm_tombstones = Table(
    "alarm_tombstones",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("revision", BigCounter, primary_key=True, autoincrement=False),
    Column("alarm_id", PlainText, nullable=False),
    Column("removed_at", UtcDateTime, nullable=False),
    Index("ix_alarm_tombstones_removed_at", "removed_at"),
)

#: Which alarms the rules of which others refer to, so that nobody deletes them unaware.
alarm_references = Table(
    "alarm_references",
    metadata,
    Column("alarm_id", PlainText, ForeignKey("alarms.alarm_id", ondelete="CASCADE"), primary_key=True),
    # No foreign key: checking one would lock the alarm behind the shard, against the order of locks.
    Column("referenced_id", PlainText, primary_key=True),
    Index("ix_alarm_references_referenced_id", "referenced_id", "alarm_id"),
)

#: One row a shard, put there by the migration. Its lock puts the writers of a shard in a row, so that revisions
#: become visible in the order of their numbers.
shards = Table(
    "shards",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("revision", BigCounter, nullable=False),
)

alarm_history = Table(
    "alarm_history",
    metadata,
    # The order in which changes were recorded; breaks ties between changes of one moment.
    Column("position", BigCounter, primary_key=True, autoincrement=True),
    Column("event_id", PlainText, nullable=False, unique=True),
    Column("alarm_id", PlainText, nullable=False),
    Column("type", PlainText, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("user_id", PlainText, nullable=False),
    Column("project_id", PlainText, nullable=False),
    Column("on_behalf_of", PlainText, nullable=False),
    Column("timestamp", UtcDateTime, nullable=False),
    Column("severity", PlainText),
    # What an evaluator's transition was found from; NULL for everything else.
    Column("evidence", JSON(none_as_null=True)),
    Index("ix_alarm_history_alarm_id_timestamp", "alarm_id", "timestamp", "position"),
    Index("ix_alarm_history_timestamp", "timestamp"),
    Index("ix_alarm_history_on_behalf_of_timestamp", "on_behalf_of", "timestamp", "position"),
)

#: How many alarms a project may have, where that is not the default; -1 for any number.
quotas = Table(
    "quotas",
    metadata,
    Column("project_id", PlainText, primary_key=True),
    Column("alarm_limit", Integer, nullable=False),
)

#: How often the evaluation of an alarm led to each state (`/v2/metrics`).
alarm_counters = Table(
    "alarm_counters",
    metadata,
    Column("alarm_id", PlainText, ForeignKey("alarms.alarm_id", ondelete="CASCADE"), primary_key=True),
    Column("ok", BigCounter, nullable=False),
    Column("alarm", BigCounter, nullable=False),
    Column("insufficient_data", BigCounter, nullable=False),
)

#: What was brought over from an Aodh, each as it was then (`alarmd import`).
imports = Table(
    "imports",
    metadata,
    Column("kind", PlainText, primary_key=True),
    Column("key", PlainText, primary_key=True),
    Column("digest", PlainText, nullable=False),
)

#: What callers prove themselves with where `api.auth` is "tokens". The secret itself is not kept.
tokens = Table(
    "tokens",
    metadata,
    Column("token_id", PlainText, primary_key=True),
    # SHA-256 of the secret, in hex. The secret is random, so it needs no salt.
    Column("digest", PlainText, nullable=False, unique=True),
    Column("description", Text, nullable=False),
    Column("project_id", PlainText, nullable=False),
    Column("user_id", PlainText, nullable=False),
    Column("roles", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # NULL: it never expires.
    Column("expires_at", UtcDateTime),
)

_PENDING = text("state = 'pending'")
_WAITING = text("state = 'pending' AND lease_until IS NULL")
_PASSING = text("state = 'pending' AND lease_until IS NULL AND not_after IS NOT NULL")
_HELD = text("state = 'held'")
_PAST_WAITING = text("state <> 'pending'")
_FINISHED = text("finished_at IS NOT NULL")
_LEASED = text("state = 'pending' AND lease_until IS NOT NULL")

outbox = Table(
    "outbox",
    metadata,
    Column("event_id", PlainText, primary_key=True),
    Column("alarm_id", PlainText, nullable=False),
    Column("project_id", PlainText, nullable=False),
    Column("sequence", BigCounter, nullable=False),
    Column("target", Text, nullable=False),
    # Stands for the pair of alarm and target: URLs may be longer than an index entry can be.
    Column("lane", PlainText, nullable=False),
    # Scheme, host and port of the target, in lower case: what shares its capacity and its troubles.
    Column("origin", PlainText, nullable=False, server_default=""),
    Column("direction", PlainText, nullable=False, server_default="neutral"),
    # When it is too late to send it.
    Column("not_after", UtcDateTime),
    Column("signing_secret", Text, nullable=False, server_default=""),
    Column("sampled_at", UtcDateTime),
    Column("traceparent", Text, nullable=False, server_default=""),
    Column("body", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("state", PlainText, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", UtcDateTime, nullable=False),
    Column("last_status", Integer),
    Column("last_error", Text, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("lease_owner", Text),
    Column("lease_until", UtcDateTime),
    # Only what is unfinished is ever searched in a hurry, so these stay as small as the backlog: what is leased; what
    # will be too late; the lanes; and the age of it all.
    Index("ix_outbox_leased", "lease_until", sqlite_where=_LEASED, postgresql_where=_LEASED),
    Index("ix_outbox_not_after", "not_after", sqlite_where=_PASSING, postgresql_where=_PASSING),
    Index("ix_outbox_created_at", "created_at", "event_id", sqlite_where=_PENDING, postgresql_where=_PENDING),
    # What waits, by those who share a receiver and those who pay: nobody gets more than their turn.
    Index(
        "ix_outbox_queue",
        *("origin", "project_id", "next_attempt_at", "event_id"),
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    ),
    Index("ix_outbox_held", "created_at", "event_id", sqlite_where=_HELD, postgresql_where=_HELD),
    Index("ix_outbox_held_lane", "lane", sqlite_where=_HELD, postgresql_where=_HELD),
    Index("ix_outbox_lane", "lane", "sequence", sqlite_where=_PENDING, postgresql_where=_PENDING),
    # For lists of what is no longer waiting, of all projects. What looks for something to send must not think of it.
    Index(
        "ix_outbox_state_created_at",
        *("state", "created_at", "event_id"),
        sqlite_where=_PAST_WAITING,
        postgresql_where=_PAST_WAITING,
    ),
    Index("ix_outbox_project_id_created_at", "project_id", "created_at"),
    Index("ix_outbox_alarm_id_sequence", "alarm_id", "sequence"),
    Index("ix_outbox_finished_at", "finished_at", sqlite_where=_FINISHED, postgresql_where=_FINISHED),
)

#: Targets that have said that they are gone (410): an alarm's actions for them are not taken until it is changed.
disabled_targets = Table(
    "disabled_targets",
    metadata,
    # That of the outbox: stands for the pair of alarm and target.
    Column("lane", PlainText, primary_key=True),
    Column("alarm_id", PlainText, ForeignKey("alarms.alarm_id", ondelete="CASCADE"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("disabled_at", UtcDateTime, nullable=False),
    Index("ix_disabled_targets_alarm_id", "alarm_id"),
)

#: What webhooks are signed with, by project. Several of one name while they are being rotated.
signing_secrets = Table(
    "signing_secrets",
    metadata,
    Column("secret_id", PlainText, primary_key=True),
    Column("project_id", PlainText, nullable=False),
    Column("name", PlainText, nullable=False),
    # The secret itself: it has to be used, so a digest would not do. Never shown.
    Column("value", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # NULL: it never expires.
    Column("expires_at", UtcDateTime),
    Index("ix_signing_secrets_project_id_name", "project_id", "name", "created_at"),
)

#: When which actions are not taken, and who said so.
silences = Table(
    "silences",
    metadata,
    Column("silence_id", PlainText, primary_key=True),
    # NULL: of all projects; an admin's.
    Column("project_id", PlainText),
    Column("author", PlainText, nullable=False),
    Column("comment", Text, nullable=False),
    # What it is about; NULL or {}: everything.
    Column("alarm_id", PlainText),
    Column("labels", JSON, nullable=False),
    Column("direction", PlainText),
    Column("starts_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    # When within these it is in force, as time constraints say it; [] for all the time.
    Column("time_constraints", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # Who ended it before its time.
    Column("ended_by", Text, nullable=False, server_default=""),
    Index("ix_silences_ends_at", "ends_at"),
    Index("ix_silences_project_id", "project_id", "ends_at"),
)

#: Why scale-in is held back in the whole installation: a row an evaluator that says so, gone when it no longer does.
breaker = Table(
    "breaker",
    metadata,
    Column("owner", PlainText, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    # Whoever dies with an open breaker holds nothing back for longer.
    Column("until", UtcDateTime, nullable=False),
)
