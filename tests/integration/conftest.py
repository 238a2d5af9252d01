# SPDX-License-Identifier: Apache-2.0
from tests.support.databases import database, database_url, postgres_kept, sqlite_template
from tests.support.hypervisor import hypervisor, machines
from tests.support.rounds import rounds

__all__ = ["database", "database_url", "hypervisor", "machines", "postgres_kept", "rounds", "sqlite_template"]
