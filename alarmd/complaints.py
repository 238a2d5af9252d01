# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a body, in the words that the clients of Aodh know."""

import re

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from alarmd.errors import InvalidInput

#: How much of a refused value is shown, in characters.
_SHOWN = 255
#: The type of a complaint whose whole text a validator has chosen itself.
_IN_WORDS = "in_words"
#: Aodh's words for what pydantic calls by these types.
_DETAILS = {
    "enum": "Value should be one of: {expected}",
    "literal_error": "Value should be one of: {expected}",
    "greater_than_equal": "Value should be greater or equal to {ge}",
    "less_than_equal": "Value should be lower or equal to {le}",
    "value_error": "{error}",
    "dict_type": "Value should be an object",
    "model_type": "Value should be an object",
}
#: How pydantic marks the place of a key of an object.
_KEY = "[key]"
#: What pydantic begins its sentences with.
_SUBJECT = re.compile("^(Input|String|List) should")


def invalid(field: str, value: object, detail: str) -> InvalidInput:
    """Return the complaint about one attribute."""
    return InvalidInput(f"Invalid input for field/attribute {field}. Value: '{shown(value)}'. {detail}", field=field)


def in_words(text: str) -> PydanticCustomError:
    """Return what a validator raises that has its own words for what is wrong."""
    return PydanticCustomError(_IN_WORDS, "{text}", {"text": text})


def complaint(error: ValidationError, *, argument: str = "data") -> InvalidInput:
    """Return the first complaint about a body; `argument` says where the body stands, e.g. ``data.event_rule``."""
    problem = error.errors(include_url=False)[0]
    # The place of an item in a list is left out: the value tells which one is meant.
    place = [part for part in problem["loc"] if isinstance(part, str)]
    if problem["type"] == _IN_WORDS:
        return InvalidInput(problem["msg"])
    if problem["type"] == "extra_forbidden":
        return InvalidInput(f"Unknown attribute for argument {'.'.join([argument, *place[:-1]])}: {shown(place[-1])}")
    if place[-1:] == [_KEY]:
        # The key itself stands before this mark; what is told is whose key it is.
        place = place[:-2]
    field = place[-1] if place else argument.rpartition(".")[2]
    value = None if problem["type"] == "missing" else problem["input"]
    return invalid(field, value, _detail(problem))


def _detail(problem: ErrorDetails) -> str:
    kind = problem["type"]
    if kind == "missing" or (problem["input"] is None and kind != "enum"):
        return "Mandatory field missing."
    if kind in _DETAILS:
        return _DETAILS[kind].format(**problem.get("ctx", {}))
    return _SUBJECT.sub("Value should", problem["msg"])


def shown(value: object) -> str:
    """Return a refused value as text, cut to what people read."""
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
