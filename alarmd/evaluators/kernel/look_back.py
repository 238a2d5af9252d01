# SPDX-License-Identifier: Apache-2.0
"""How far back rules look: the periods that they judge, and those that bridge gaps."""

from math import ceil

from alarmd.model.rule import WindowRule


def look_back_periods(rule: WindowRule, *, lateness_s: float) -> int:
    """Return how many periods before those that it judges a rule may use when some are empty.

    Aodh's rule looked back one period, or once more over all of them to judge outliers. Short periods look back over
    the lateness budget, so that a poller's restart leaves no alarm without data.
    """
    if rule.look_back_periods is not None:
        return rule.look_back_periods
    gap = max(1, ceil(lateness_s / rule.reading.period_s))
    return max(gap, rule.judgement.evaluation_periods) if rule.reading.exclude_outliers else gap


def periods_read(rule: WindowRule, *, lateness_s: float) -> int:
    """Return how many periods a rule reads in all."""
    return rule.judgement.reach_periods + look_back_periods(rule, lateness_s=lateness_s)
