# SPDX-License-Identifier: Apache-2.0
"""`/`: which versions of the API there are."""

from typing import Any

from flask import Blueprint, request

blueprint = Blueprint("version", __name__)


@blueprint.get("/")
def show_versions() -> dict[str, Any]:
    """Return Aodh's version document, whose links clients follow from where they came in."""
    base = request.url_root.rstrip("/")
    links = [
        {"href": f"{base}/v2", "rel": "self"},
        {"href": "https://docs.openstack.org/", "rel": "describedby", "type": "text/html"},
    ]
    # XML stands here since OpenStack's own tests compare the list; asked for XML, alarmd answers 406.
    media = [
        {"base": f"application/{form}", "type": f"application/vnd.openstack.telemetry-v2+{form}"}
        for form in ("json", "xml")
    ]
    values = [{"id": "v2", "links": links, "media-types": media, "status": "stable", "updated": "2013-02-13T00:00:00Z"}]
    return {"versions": {"values": values}}
