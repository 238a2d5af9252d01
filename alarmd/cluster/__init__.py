# SPDX-License-Identifier: Apache-2.0
"""Who does what: shards, membership, and the bell that wakes a sleeper."""
