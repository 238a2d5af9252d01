# SPDX-License-Identifier: Apache-2.0
"""Delivery: one scheme a file, signing, the retry policy, and the round that drains the outbox."""
