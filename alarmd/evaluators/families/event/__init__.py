# SPDX-License-Identifier: Apache-2.0
"""The `event` family."""
