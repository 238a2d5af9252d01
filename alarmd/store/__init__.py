# SPDX-License-Identifier: Apache-2.0
"""Alarms, history and the outbox in a database; one repository each, one unit of work."""
