# SPDX-License-Identifier: Apache-2.0
"""The section of what keeps autoscaling from doing harm while something is wrong with the installation itself."""

from typing import Annotated, TypeAlias

from pydantic import Field, PositiveInt

from alarmd.settings.section import Seconds, Section

Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class SafetySettings(Section):
    """When scale-in is held back in the whole installation. A share of 0 is never exceeded."""

    breaker_alarms_share: Share = 0.3
    breaker_projects_share: Share = 0.5
    breaker_hosts_share: Share = 0.5
    breaker_silent_share: Share = 0.3
    breaker_minimum: PositiveInt = 20
    breaker_calm_s: Seconds = 60.0
    breaker_lease_s: Annotated[float, Field(ge=5, le=3600)] = 30.0
