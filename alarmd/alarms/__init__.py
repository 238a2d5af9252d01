# SPDX-License-Identifier: Apache-2.0
"""What may be asked of alarms, by whom, and what follows from it. Knows no HTTP.

`service` is the way in; `drafting` turns what a client wants into an alarm, with the rules for its actions in
`actions` and for what Aodh does not know in `additions`; `reach` says what a caller can see and name, `queries` what a
search may find; `silences` keeps actions back for a while; `secrets` sign them; `deliveries`,
`quotas` and `results` serve the operator.
"""

from alarmd.alarms.additions import LONGEST_REPEAT_S
from alarmd.alarms.deliveries import DeliveryService
from alarmd.alarms.drafting import AlarmDraft, Drafting
from alarmd.alarms.quotas import QuotaService
from alarmd.alarms.results import ResultService
from alarmd.alarms.secrets import SecretService
from alarmd.alarms.service import AlarmService
from alarmd.alarms.silences import SilenceDraft, SilenceLimits, SilenceService
from alarmd.alarms.trusts import NoTrusts, TrustKeeper

__all__ = [
    "LONGEST_REPEAT_S",
    "AlarmDraft",
    "AlarmService",
    "DeliveryService",
    "Drafting",
    "NoTrusts",
    "QuotaService",
    "ResultService",
    "SecretService",
    "SilenceDraft",
    "SilenceLimits",
    "SilenceService",
    "TrustKeeper",
]
