# SPDX-License-Identifier: Apache-2.0
"""alarmd: autoscaling alarms, from poller to webhook, in one daemon."""

__version__ = "0.1.0"
