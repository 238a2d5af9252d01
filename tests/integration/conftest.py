# SPDX-License-Identifier: Apache-2.0
from tests.support.hypervisor import hypervisor, machines

__all__ = ["hypervisor", "machines"]
