# SPDX-License-Identifier: Apache-2.0
"""Settings: read once, checked, frozen, and passed on as values.

They come from four places; a later one wins: the defaults, one TOML file, variables ``ALARMD_SECTION__KEY``, options of
the command line. Every secret may also stand in a file of its own, named by ``<key>_file``. `docs/settings.md` explains
each key.
"""

from alarmd.settings.loading import MASK, Effective, load, load_with_origins
from alarmd.settings.schema import ROLES, SECRETS, Role, Settings, SourceSettings, keys, variable_of

__all__ = [
    "MASK",
    "ROLES",
    "SECRETS",
    "Effective",
    "Role",
    "Settings",
    "SourceSettings",
    "keys",
    "load",
    "load_with_origins",
    "variable_of",
]
