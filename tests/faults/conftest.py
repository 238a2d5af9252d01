# SPDX-License-Identifier: Apache-2.0
import os
import random

import pytest


@pytest.fixture(scope="session")
def seed() -> int:
    """Decides who is killed when; given in FAULTS_SEED after a failure. What a kill hits is still a matter of luck."""
    return int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(1_000_000))
