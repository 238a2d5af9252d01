# SPDX-License-Identifier: Apache-2.0
"""The schema: brought up to date and checked, by Alembic."""


def upgrade(url: str) -> None:
    """Bring the schema to the newest revision. Several processes may do so at once. Raises `StoreUnavailable`."""


def current(url: str) -> str | None:
    """Return the revision of the schema, None when there is none. Raises `StoreUnavailable`."""


def check(url: str) -> None:
    """Raise `StoreUnavailable`, naming the remedy, unless the schema is the one this alarmd knows."""
