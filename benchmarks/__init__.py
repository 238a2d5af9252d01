# SPDX-License-Identifier: Apache-2.0
"""The figures alarmd is held to: one command each, `python -m benchmarks NAME`, see docs/benchmarks.md."""
