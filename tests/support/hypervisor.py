# SPDX-License-Identifier: Apache-2.0
"""Fixtures: a private libvirtd with QEMU for each test process, and machines that go with the test."""

import os
from collections.abc import Iterator

import pytest

from alarmd.cli.demo.hypervisor import Hypervisor, HypervisorUnavailable
from alarmd.cli.demo.machines import Machines


@pytest.fixture(scope="session")
def hypervisor() -> Iterator[Hypervisor]:
    """A private libvirtd; a test that kills it must start it again."""
    hypervisor = Hypervisor()
    try:
        hypervisor.start()
    except HypervisorUnavailable as missing:
        # On a contributor's machine the rest of the tests is still worth running; in CI nothing may be left out.
        if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))
    yield hypervisor
    hypervisor.close()


@pytest.fixture
def machines(hypervisor: Hypervisor) -> Iterator[Machines]:
    """A way to start machines; all are gone after the test."""
    machines = Machines(hypervisor)
    yield machines
    machines.close()
