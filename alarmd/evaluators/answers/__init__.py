# SPDX-License-Identifier: Apache-2.0
"""Answers to people: explanations, previews and backtests, by the code that evaluates."""
