# SPDX-License-Identifier: Apache-2.0
"""The processes: a cotyledon service per role, its APScheduler jobs, start, drain and stop."""
