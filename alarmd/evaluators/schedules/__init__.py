# SPDX-License-Identifier: Apache-2.0
"""Schedules: when time constraints let an alarm be evaluated."""
