# SPDX-License-Identifier: Apache-2.0
"""Asking: the rules whose values other people's servers know, and how those are asked beside the tick."""
