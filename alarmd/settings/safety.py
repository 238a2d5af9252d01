# SPDX-License-Identifier: Apache-2.0
"""The section of what keeps autoscaling from doing harm while something is wrong with the installation itself."""

from typing import Annotated, Self, TypeAlias

from pydantic import Field, PositiveInt, model_validator

from alarmd.settings.section import Section

Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class SafetySettings(Section):
    """When scale-in is held back in the whole installation. A share of 0 is never exceeded."""

    breaker_alarms_share: Share = 0.3
    breaker_projects_share: Share = 0.5
    breaker_hosts_share: Share = 0.5
    breaker_silent_share: Share = 0.3
    breaker_minimum: PositiveInt = 20
    breaker_calm_s: Annotated[float, Field(gt=0, le=86_400)] = 60.0
    # Longer than a machine takes to start anew.
    breaker_lease_s: Annotated[float, Field(ge=5, le=86_400)] = 120.0

    @model_validator(mode="after")
    def _what_is_held_outlives_the_calm(self) -> Self:
        if self.breaker_lease_s < self.breaker_calm_s:
            raise ValueError(
                f"safety.breaker_lease_s ({self.breaker_lease_s:g}) must not be shorter than safety.breaker_calm_s "
                f"({self.breaker_calm_s:g}): what an evaluator that is away held would be sent before "
                "it is calm. Raise safety.breaker_lease_s or lower safety.breaker_calm_s"
            )
        return self
