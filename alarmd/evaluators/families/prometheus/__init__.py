# SPDX-License-Identifier: Apache-2.0
"""The `prometheus` family, and the server that it asks."""
