# SPDX-License-Identifier: Apache-2.0
"""The short-window metric cache: the sample log (one engine a file) and the columnar window read from it."""
