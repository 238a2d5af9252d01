# SPDX-License-Identifier: Apache-2.0
"""Where samples come from: one source a file, all behind `source.Source`."""
