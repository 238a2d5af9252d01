# SPDX-License-Identifier: Apache-2.0
"""`/v2/capabilities`: what this server can be asked. Anybody may know."""

from typing import Any

from flask import Blueprint

from alarmd.api.arguments import only_arguments
from alarmd.api.schemas import ApiCapabilities, CapabilitiesView, StorageCapabilities

blueprint = Blueprint("capabilities", __name__)


@blueprint.get("/v2/capabilities")
def show_capabilities() -> dict[str, Any]:
    """Return Aodh's list of what there is, all of which there is."""
    only_arguments()
    return CapabilitiesView(api=ApiCapabilities(), alarm_storage=StorageCapabilities()).model_dump(by_alias=True)
