# SPDX-License-Identifier: Apache-2.0
"""The demonstration: the whole loop on real virtual machines, from a key press to a fired webhook and back."""
