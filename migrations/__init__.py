# SPDX-License-Identifier: Apache-2.0
"""Alembic migrations, imported as `alarmd.migrations`."""
