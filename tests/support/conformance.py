# SPDX-License-Identifier: Apache-2.0
"""Holds the REST door to its own description: schemathesis sends what the description allows, and what it does not."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import schemathesis
from flask import Flask
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

# Imported when it is first used otherwise, beside the threads of other tests: Python 3.11 cannot read source in two
# threads at once without now and then losing count of its depth (a SystemError).
from schemathesis.specs.openapi import schemas as _schemas  # noqa: F401

#: Two checks are left out. The description is stricter than the server, which takes text for numbers and null for
#: what has a default since clients rely on it; and it cannot say all that is refused (an action's scheme, say).
_LEFT_OUT = ("negative_data_rejection", "positive_data_acceptance")
_PHASES = ("examples", "coverage", "fuzzing", "stateful")


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What came of a run."""

    #: What was answered otherwise than described, each with a request that shows it.
    failures: list[str] = field(default_factory=list)
    #: How often each operation, ``GET /path``, was answered with each status.
    statuses: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))


def findings(app: Flask, *, phases: Sequence[str], examples: int, with_identity: bool = False) -> Findings:
    """Run phases of schemathesis over the whole description, always with the same requests."""
    config = SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "workers": 1,
            "continue-on-failure": True,
            "checks": {name: {"enabled": False} for name in _LEFT_OUT},
            "generation": {
                "deterministic": True,
                "max-examples": examples,
                "with-security-parameters": with_identity,
            },
            "phases": {name: {"enabled": name in phases} for name in _PHASES},
        }
    )
    found = Findings()
    for event in from_schema(schemathesis.openapi.from_wsgi("/openapi.json", app, config=config)).execute():
        match event:
            case events.ScenarioFinished():
                _note(event, found)
            case events.NonFatalError() | events.FatalError():
                found.failures.append(repr(event.value if isinstance(event, events.NonFatalError) else event.exception))
    return found


def _note(event: events.ScenarioFinished, found: Findings) -> None:
    for case_id, interaction in event.recorder.interactions.items():
        if interaction.response is not None:
            operation = event.recorder.cases[case_id].value.operation.label
            found.statuses[operation][interaction.response.status_code] += 1
    for checks in event.recorder.checks.values():
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                found.failures.append(
                    f"{failure.operation}: {failure.title}\n{failure.message}\n{check.failure_info.code_sample}"
                )
