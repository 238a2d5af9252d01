# SPDX-License-Identifier: Apache-2.0
from tests.support.databases import database, database_url, postgres_kept, sqlite_template

__all__ = ["database", "database_url", "postgres_kept", "sqlite_template"]
