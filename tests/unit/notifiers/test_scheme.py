# SPDX-License-Identifier: Apache-2.0
import pytest

from alarmd import plugins
from alarmd.errors import InvalidInput, TargetRefused
from alarmd.notifiers.scheme import scheme_of, target_check
from alarmd.notifiers.target_policy import TargetPolicy

CHECK = target_check(
    {name: plugins.load("alarmd.notifiers", name) for name in ("http", "https", "log")}, policy=TargetPolicy()
)


@pytest.mark.parametrize(
    ("target", "scheme"),
    [("http://h/", "http"), ("HTTPS://h/", "https"), ("log:", "log"), ("log://x", "log"), ("", ""), ("http", "")],
)
def test_a_target_names_its_scheme(target: str, scheme: str) -> None:
    """The scheme is what stands before the first colon, in any case."""
    assert scheme_of(target) == scheme


@pytest.mark.parametrize("target", ["http://heat:8000/v1/signal", "https://10.0.0.1/", "log:", "log://", "LOG://x"])
def test_good_targets_pass(target: str) -> None:
    """Targets that some notifier serves are accepted."""
    CHECK(target, "p1")


@pytest.mark.parametrize("target", ["trust+http://heat/", "zaqar://?topic=x", "carrier-pigeon:coop", "nothing"])
def test_a_scheme_that_nobody_serves_is_refused_in_the_words_of_aodh(target: str) -> None:
    """Clients read what they know from Aodh when an action cannot be served."""
    with pytest.raises(InvalidInput, match="Unsupported action") as refusal:
        CHECK(target, "p1")

    assert refusal.value.message == f"Unsupported action {target}"


def test_each_scheme_checks_its_own_targets() -> None:
    """A known scheme does not make a forbidden address good."""
    with pytest.raises(TargetRefused):
        CHECK("https://169.254.169.254/latest/meta-data", "p1")
