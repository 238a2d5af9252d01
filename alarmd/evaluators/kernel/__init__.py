# SPDX-License-Identifier: Apache-2.0
"""The kernel: what the samples of series come to in periods, computed for all readers at once."""
