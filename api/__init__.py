# SPDX-License-Identifier: Apache-2.0
"""The REST door. Lives in `api/` at the top of the tree and is imported as `alarmd.api`, under no other name."""

if __name__ != "alarmd.api":
    raise ImportError("import this package as alarmd.api")
