# SPDX-License-Identifier: Apache-2.0
"""From rules and windows to verdicts: the compiled plan, one rule family a file, the tick."""
