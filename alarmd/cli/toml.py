# SPDX-License-Identifier: Apache-2.0
"""Values written in TOML; the standard library only reads it."""

import json
import re
from collections.abc import Mapping
from typing import Any


def toml_value(value: Any) -> str:
    """Write a value in TOML, tables inline; JSON's types only."""
    if isinstance(value, Mapping):
        pairs = (f"{toml_key(name)} = {toml_value(item)}" for name, item in value.items() if item is not None)
        return "{ " + ", ".join(pairs) + " }" if value else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    # JSON's strings, numbers and booleans are TOML's.
    return json.dumps(value, ensure_ascii=False)


def toml_key(name: str) -> str:
    """Write the name of a key or a table."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)
