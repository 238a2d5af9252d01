# SPDX-License-Identifier: Apache-2.0
"""The rule families: one a module or a folder, each checks, words and compiles one type of rule."""
