# SPDX-License-Identifier: Apache-2.0
"""What things are: pure values, no I/O, standard library and numpy only."""
