# SPDX-License-Identifier: Apache-2.0
"""Settings as they may be shown to people and put into logs: without a secret in them."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, SecretStr

from alarmd.settings.loading import MASK

#: A password within a URL. Databases take one with a slash in it, too; rather a port and a path too much than that.
_PASSWORD = re.compile(r"(?<=:)(?!//)[^@\s]+(?=@)|(?<=password=)[^&\s]+")
#: Names of plugins' options that must not be shown.
_SECRET_NAME = re.compile(r"(secret|password|token)$", re.IGNORECASE)


def shown(key: str, value: Any) -> Any:
    """Return a value in JSON's types, with no secret in it; what is hidden depends on the key too."""
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_none=True)
    if isinstance(value, Mapping):
        return {name: shown(f"{key}.{name}", item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [shown(key, item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    if "://" in text:
        return _PASSWORD.sub(MASK, text)
    return MASK if isinstance(value, SecretStr) or _SECRET_NAME.search(key.rpartition(".")[2]) else text
