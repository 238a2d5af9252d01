# SPDX-License-Identifier: Apache-2.0
"""What the settings say of what may be asked of alarms."""

from alarmd.alarms.quotas import QuotaDefaults
from alarmd.alarms.silences import SilenceLimits
from alarmd.settings import Settings


def quota_defaults(settings: Settings) -> QuotaDefaults:
    """Return how many alarms there may be where nothing else is stored."""
    api = settings.api
    return QuotaDefaults(project_alarms=api.project_alarm_quota, user_alarms=api.user_alarm_quota)


def silence_limits(settings: Settings) -> SilenceLimits:
    """Return the bounds of silences."""
    api = settings.api
    return SilenceLimits(longest_s=api.max_silence_s, most=api.project_silence_quota)
