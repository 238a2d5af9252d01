# SPDX-License-Identifier: Apache-2.0
"""Brings alarms, their history and quotas over from an Aodh, as often as one likes.

`source` is the seam to the Aodh: `api_source` reads it over HTTP, `database_source` from its database. `conversion`
makes alarmd's alarms of what it stored, and `run` writes them, next to what has become of them here meanwhile.
"""

from alarmd.importing.api_source import ApiSource
from alarmd.importing.conversion import Conversion
from alarmd.importing.database_source import DatabaseSource
from alarmd.importing.report import ImportReport, Tally
from alarmd.importing.run import ImportRun
from alarmd.importing.source import AodhSource

__all__ = ["AodhSource", "ApiSource", "Conversion", "DatabaseSource", "ImportReport", "ImportRun", "Tally"]
