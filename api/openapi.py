# SPDX-License-Identifier: Apache-2.0
"""`/openapi.json`: the API in OpenAPI 3.1, from the same shapes that requests are read and answers are built with."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from alarmd.api import breaker, delivery_schemas, schemas, silence_schemas, verdict_schemas
from alarmd.api.alarm_body import AlarmBody
from alarmd.api.openapi_examples import alarm_examples
from alarmd.api.openapi_terms import HEADERS, Part, errors, ref
from alarmd.api.openapi_v2 import v2_paths
from alarmd.api.openapi_v3 import operators_paths, v3_paths

_REF = "#/components/schemas/{model}"

#: What is answered, and what is taken. What these hold comes along.
_VIEWS: tuple[type[BaseModel], ...] = (
    schemas.ErrorView,
    schemas.VersionsView,
    schemas.AlarmView,
    schemas.AlarmChangeView,
    schemas.CapabilitiesView,
    schemas.QuotasView,
    schemas.ResultsView,
    schemas.PushView,
    schemas.PushErrorView,
    schemas.SeriesListView,
    schemas.SeriesDataView,
    delivery_schemas.DeliveryView,
    delivery_schemas.DeliveryListView,
    delivery_schemas.RetryView,
    delivery_schemas.MadeSecretView,
    delivery_schemas.SecretListView,
    silence_schemas.SilenceView,
    silence_schemas.SilenceListView,
    breaker.BreakerView,
    verdict_schemas.PreviewView,
    verdict_schemas.ExplanationView,
    schemas.HealthView,
    schemas.ReadinessView,
)
_BODIES: tuple[type[BaseModel], ...] = (
    AlarmBody,
    schemas.TimeConstraintBody,
    schemas.ComplexQueryBody,
    schemas.QuotasBody,
    schemas.PushBody,
    verdict_schemas.PreviewOptions,
    schemas.EventPushBody,
    silence_schemas.SilenceBody,
    delivery_schemas.RetryBody,
    delivery_schemas.SecretBody,
    delivery_schemas.RotationBody,
)

_SECURITY: Mapping[str, Part] = {
    "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token", "description": "api.auth tokens or keystone"},
    "bearer": {"type": "http", "scheme": "bearer", "description": "api.auth tokens"},
    "user": {"type": "apiKey", "in": "header", "name": "X-User-Id", "description": "api.auth trusted-headers"},
    "project": {"type": "apiKey", "in": "header", "name": "X-Project-Id", "description": "api.auth trusted-headers"},
    "roles": {"type": "apiKey", "in": "header", "name": "X-Roles", "description": "api.auth trusted-headers"},
}


def describe(rule_bodies: Mapping[str, type[BaseModel]]) -> dict[str, Any]:
    """Return the whole description; the bodies are those of the rules of each type of alarm."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "alarmd",
            "version": version("alarmd"),
            "description": "Autoscaling alarms: Aodh's API v2 for alarms, v3 for samples, events and deliveries.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": v2_paths(alarm_examples(rule_bodies)) | v3_paths() | operators_paths(),
        "components": {
            "schemas": _schemas(rule_bodies),
            "responses": errors(),
            "headers": dict(HEADERS),
            "securitySchemes": dict(_SECURITY),
        },
        "security": [{}, {"token": []}, {"bearer": []}, {"user": [], "project": [], "roles": []}],
    }


def _schemas(rule_bodies: Mapping[str, type[BaseModel]]) -> Part:
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        *((shape, "serialization") for shape in _VIEWS),
        *((shape, "validation") for shape in _BODIES),
        *((shape, "validation") for shape in rule_bodies.values()),
        *((shape, "serialization") for shape in rule_bodies.values()),
    ]
    references, document = models_json_schema(wanted, ref_template=_REF)
    found: Part = document["$defs"]
    taken = {type_: references[shape, "validation"] for type_, shape in rule_bodies.items()}
    shown = {type_: references[shape, "serialization"] for type_, shape in rule_bodies.items()}
    for body in ("AlarmBody", "SilenceBody"):
        for form in found[body]["properties"]["time_constraints"]["anyOf"]:
            if form["type"] == "array":
                form["items"] = ref("TimeConstraintBody")
    return {
        **found,
        **_by_type("AlarmBody", found["AlarmBody"], taken),
        **_by_type("AlarmView", found["AlarmView"], shown),
        **_by_type("PreviewBody", _previewed(found["AlarmBody"], found.pop("PreviewOptions")), taken),
    }


def _previewed(alarm: Part, options: Part) -> Part:
    """Return the schema of what an alarm and the options of its preview have in one body."""
    return alarm | {
        "title": "PreviewBody",
        "description": "An alarm as it would be created, and what it is to be tried on.",
        "properties": alarm["properties"] | options["properties"],
        "required": [name for name in alarm["required"] if name != "name"],
    }


def _by_type(name: str, common: Part, rules: Mapping[str, Any]) -> Part:
    """Return the schema of alarms of any type, and one for each type: its rule stands in `<type>_rule`."""
    each = {f"{name}_{type_}": _typed(common, type_, rule) for type_, rule in rules.items()}
    whole = {
        "description": common.get("description", ""),
        "oneOf": [ref(typed) for typed in each],
        "discriminator": {
            "propertyName": "type",
            "mapping": {type_: ref(f"{name}_{type_}")["$ref"] for type_ in rules},
        },
    }
    return {name: whole, **each}


def _typed(common: Part, type_: str, rule: Any) -> Part:
    key = f"{type_}_rule"
    return common | {
        "title": f"{common['title']} ({type_})",
        "properties": common["properties"] | {"type": {"type": "string", "const": type_}, key: rule},
        "required": [*common["required"], key],
        "additionalProperties": False,
    }
