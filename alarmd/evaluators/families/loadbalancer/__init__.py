# SPDX-License-Identifier: Apache-2.0
"""The `loadbalancer_member_health` family, and the Octavia that it asks."""
