# SPDX-License-Identifier: Apache-2.0
"""What the sections of the settings are made of."""

import json
import re
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

#: A hundred years. What is longer cannot be added to every moment, and is meant as "for ever" all the same.
_LONGEST_S = 100 * 365 * 86400.0

Seconds: TypeAlias = Annotated[float, Field(gt=0, le=_LONGEST_S)]
SecondsOrZero: TypeAlias = Annotated[float, Field(ge=0, le=_LONGEST_S)]


class Section(BaseModel):
    """One section: its keys and nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


def words(value: Any) -> Any:
    """Read a list out of a variable or a file: JSON, or words between commas or blanks."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [word for word in re.split(r"[,\s]+", value) if word]


def _http_url(value: str) -> str:
    """Check the address of a server."""
    if not re.match(r"https?://[^/\s]", value):
        raise ValueError('must be a URL, e.g. "http://controller:8041"')
    return value.rstrip("/")


#: The address of a server.
HttpUrl: TypeAlias = Annotated[str, AfterValidator(_http_url)]
