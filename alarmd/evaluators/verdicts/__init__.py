# SPDX-License-Identifier: Apache-2.0
"""Verdicts: how values are held against thresholds, what state follows, and the words for it."""
