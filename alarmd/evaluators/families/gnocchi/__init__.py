# SPDX-License-Identifier: Apache-2.0
"""The `gnocchi_*` families, over alarmd's own cache or asked of a Gnocchi."""
