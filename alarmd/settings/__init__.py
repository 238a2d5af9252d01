# SPDX-License-Identifier: Apache-2.0
"""Settings: checked, frozen, and passed on as values. Read at start, and again when the daemon is told to (SIGHUP).

They come from four places; a later one wins: the defaults, one TOML file, variables ``ALARMD_SECTION__KEY``, options of
the command line. Every secret may also stand in a file of its own, named by ``<key>_file``. `docs/settings.md` explains
each key.
"""

from alarmd.settings.loading import MASK, Effective, load, load_with_origins
from alarmd.settings.rereading import NEEDS_RESTART, Reread, reread
from alarmd.settings.schema import ROLES, SECRETS, Role, Settings, SourceSettings, keys, value_of, variable_of
from alarmd.settings.showing import shown

__all__ = [
    "MASK",
    "NEEDS_RESTART",
    "ROLES",
    "SECRETS",
    "Effective",
    "Reread",
    "Role",
    "Settings",
    "SourceSettings",
    "keys",
    "load",
    "load_with_origins",
    "reread",
    "shown",
    "value_of",
    "variable_of",
]
