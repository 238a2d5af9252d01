# SPDX-License-Identifier: Apache-2.0
"""What the bodies of all rules have in common: leniency, bounds, and the families that need no more than a body.

Numbers are taken as text too, and null means the default: the clients that send these rules rely on both.
"""

from collections.abc import Mapping
from contextlib import suppress
from math import isfinite
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from alarmd.complaints import complaint
from alarmd.errors import InvalidInput
from alarmd.evaluators.family import FindFamily, RuleLimits, TickedRule

#: How many conditions a query may have.
MAX_CONDITIONS = 32
#: How many characters a query or a value may have.
_LONGEST_TEXT = 65_536


def whole_number(value: object) -> object:
    """Take 60.5 and "60" as 60, as Aodh does; what is no number is left for the complaint."""
    if isinstance(value, str):
        with suppress(ValueError):
            value = float(value)
    return int(value) if isinstance(value, float) and isfinite(value) else value


#: A whole number, from whatever clients send for one.
Whole = Annotated[int, BeforeValidator(whole_number)]
#: A finite number, exactly as sent however big.
Number = Annotated[float, Field(allow_inf_nan=False)]
#: An id or a name, possibly empty.
Name = Annotated[str, Field(max_length=255)]
#: A query, or a value of one.
LongText = Annotated[str, Field(max_length=_LONGEST_TEXT)]


class RuleBody(BaseModel):
    """Base of what clients send: null takes the default, other keys are refused.

    The fields stand in the order in which they are stored and shown.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _null_means_default(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or None not in data.values():
            return data
        return {key: value for key, value in data.items() if value is not None or key not in cls.model_fields}


_Body = TypeVar("_Body", bound=RuleBody)


def read_rule(shape: type[_Body], rule: Mapping[str, Any], *, type_: str) -> _Body:
    """Return a rule as its body; raises `InvalidInput` in Aodh's words."""
    try:
        return shape.model_validate(rule if isinstance(rule, dict) else dict(rule))
    except ValidationError as error:
        raise complaint(error, argument=f"data.{type_}_rule") from error


def not_evaluated(type_: str) -> InvalidInput:
    """Return the complaint that rules of a type cannot be evaluated here."""
    return InvalidInput(f"Alarms of type {type_} are kept, but this version does not evaluate them.")


class PlainFamily:
    """Base of the families that Aodh words by their type, and whose rules read their alarm's own project."""

    name: str

    def describe(self, rule: Mapping[str, Any]) -> str:
        """Return Aodh's words, which say the type only."""
        del rule
        return f"{self.name} alarm rule"

    def reads_project(self, rule: Mapping[str, Any], *, project_id: str) -> str:
        """Return the alarm's own project: these rules cannot name another."""
        del rule
        return project_id


class KeptFamily(PlainFamily):
    """Base of the families whose rules are checked, kept and shown, but not evaluated by the tick."""

    body: type[RuleBody]
    is_evaluated = False
    is_ticked = False
    needs = ""
    fits_composite = False

    def __init__(self, limits: RuleLimits, find: FindFamily) -> None:
        del limits, find  # a body bounds itself, and holds no other rules

    def normalise(self, rule: Mapping[str, Any], *, project_id: str, confined: bool = True) -> dict[str, Any]:
        """Check a rule and return it complete."""
        del project_id, confined  # these rules read their alarm's project, whichever that is
        return read_rule(self.body, rule, type_=self.name).model_dump(mode="json")

    def parse(self, rule: Mapping[str, Any], *, project_id: str, confined: bool = True) -> TickedRule:
        """Refuse: there is nothing that would evaluate it."""
        del rule, project_id, confined
        raise not_evaluated(self.name)
