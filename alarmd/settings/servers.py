# SPDX-License-Identifier: Apache-2.0
"""The sections of servers that are asked for what alarmd does not have itself."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from alarmd.settings.section import HttpUrl, Seconds, SecondsOrZero, Section


class PrometheusSettings(Section):
    """The Prometheus that is asked for the values of rules of its type."""

    url: HttpUrl | None = None
    interval_s: Seconds = 15.0
    timeout_s: Annotated[float, Field(ge=0.1, le=60)] = 10.0
    concurrency: Annotated[int, Field(ge=1, le=100)] = 8
    project_label: Annotated[str, Field(pattern="^[a-zA-Z_][a-zA-Z0-9_]*$")] = "project"
    bearer_token: SecretStr | None = None
    bearer_token_file: Path | None = None
    username: str = "alarmd"
    password: SecretStr | None = None
    password_file: Path | None = None
    cafile: Path | None = None

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.password is not None and self.bearer_token is not None:
            raise ValueError("prometheus.bearer_token and prometheus.password exclude each other; keep one of the two")
        return self


class OctaviaSettings(Section):
    """The Octavia that is asked for the health of load balancers' members."""

    url: HttpUrl | None = None
    from_catalogue: bool = False
    interval_s: Seconds = 30.0
    timeout_s: Annotated[float, Field(ge=0.1, le=60)] = 10.0
    concurrency: Annotated[int, Field(ge=1, le=100)] = 4
    member_creation_time_s: SecondsOrZero = 120.0
    cafile: Path | None = None

    @property
    def is_asked(self) -> bool:
        """Whether there is an Octavia."""
        return self.url is not None or self.from_catalogue
