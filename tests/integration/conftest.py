# SPDX-License-Identifier: Apache-2.0
from tests.support.databases import database, database_url, postgres_kept, sqlite_template
from tests.support.http_schemes import make_scheme
from tests.support.hypervisor import hypervisor, machines
from tests.support.rounds import rounds

__all__ = [
    "database",
    "database_url",
    "hypervisor",
    "machines",
    "make_scheme",
    "postgres_kept",
    "rounds",
    "sqlite_template",
]
