# SPDX-License-Identifier: Apache-2.0
"""What a domain's XML says of it: whose it is, which group it belongs to, which disks and network interfaces it has.

Ownership and labels stand in ``<metadata>``, where any tool may keep an element in a namespace of its own. Ours is::

    <alarmd:resource xmlns:alarmd="https://alarmd.org/xmlns/libvirt/1" project="acme" user="joe">
      <alarmd:label name="group">web</alarmd:label>
    </alarmd:resource>

    virsh metadata DOMAIN --uri https://alarmd.org/xmlns/libvirt/1 --key alarmd --live --config \
        --set '<resource project="acme"><label name="group">web</label></resource>'

`project`, `user` and the labels are each optional. Nova's element (namespaces 1.0 and 1.1) is read too: its project
and user, and as labels `display_name` and `flavor_name`. What ours says wins, item by item. A domain with neither
belongs to the project "". The label `resource_type` tells machines, disks and interfaces apart by Gnocchi's names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from alarmd.model.samples import Resource, labels_of

#: The XML namespace of alarmd's own metadata.
NAMESPACE = "https://alarmd.org/xmlns/libvirt/1"

#: Nova's, the newer first: where an instance carries both, the older is a leftover.
_NOVA = ("http://openstack.org/xmlns/libvirt/nova/1.1", "http://openstack.org/xmlns/libvirt/nova/1.0")

#: Nova's firewall makes a filter for each interface; any other filter is shared by many and names nobody.
_FILTER_OF_ONE = "nova-instance-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A domain as its XML describes it, with the resources that its samples are about."""

    uuid: str
    #: libvirt's number of this run: a domain that is started again has another.
    run: int
    #: Counts the times that a device came or went during this run.
    plugging: int
    vcpus: int
    machine: Resource
    #: By target, e.g. ``vda``.
    disks: Mapping[str, Resource]
    #: The disks that have something in them; an empty CD-ROM drive has not.
    filled: frozenset[str]
    #: By the host's name of the interface, e.g. ``tap0``.
    nics: Mapping[str, Resource]


def parse_domain(xml: str, *, run: int, plugging: int, labels: Mapping[str, str]) -> Domain:
    """Return what a domain's XML says; `labels` are the operator's, for every domain, and give way to all others."""
    root = ET.fromstring(xml)  # noqa: S314  # libvirt wrote it
    uuid, name = root.findtext("uuid", ""), root.findtext("name", "")
    owner = _owner_of(root)
    own = {**labels, "instance_name": name, **owner.labels}
    disks = _disks_of(root)

    def resource(identity: str, **more: str) -> Resource:
        return Resource(
            id=identity,
            project_id=owner.project_id,
            user_id=owner.user_id,
            labels=labels_of({**own, **more}.items()),
        )

    return Domain(
        uuid=uuid,
        run=run,
        plugging=plugging,
        vcpus=_vcpus_of(root),
        machine=resource(uuid, resource_type="instance"),
        disks={
            device: resource(f"{uuid}-{device}", resource_type="instance_disk", instance_id=uuid, device=device)
            for device in disks
        },
        filled=frozenset(device for device, has_source in disks.items() if has_source),
        nics={
            nic.device: resource(
                nic.identity or f"{name}-{uuid}-{nic.device}",
                resource_type="instance_network_interface",
                instance_id=uuid,
                device=nic.device,
                **nic.labels,
            )
            for nic in _nics_of(root)
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Owner:
    project_id: str
    user_id: str
    labels: Mapping[str, str]


def _owner_of(root: ET.Element) -> _Owner:
    nova = _nova_owner_of(root)
    ours = root.find(f"metadata/{{{NAMESPACE}}}resource")
    if ours is None:
        return nova
    labels = {
        label.get("name", ""): (label.text or "").strip()
        for label in ours.iterfind(f"{{{NAMESPACE}}}label")
        if label.get("name")
    }
    return _Owner(
        project_id=ours.get("project", nova.project_id),
        user_id=ours.get("user", nova.user_id),
        labels={**nova.labels, **labels},
    )


def _nova_owner_of(root: ET.Element) -> _Owner:
    for namespace in _NOVA:
        instance = root.find(f"metadata/{{{namespace}}}instance")
        if instance is None:
            continue
        names = {"nova": namespace}
        project = instance.find("nova:owner/nova:project", names)
        user = instance.find("nova:owner/nova:user", names)
        flavor = instance.find("nova:flavor", names)
        labels = {
            "display_name": instance.findtext("nova:name", "", names).strip(),
            "flavor_name": "" if flavor is None else flavor.get("name", ""),
        }
        return _Owner(
            project_id="" if project is None else project.get("uuid", ""),
            user_id="" if user is None else user.get("uuid", ""),
            labels={name: value for name, value in labels.items() if value},
        )
    return _Owner(project_id="", user_id="", labels={})


def _vcpus_of(root: ET.Element) -> int:
    vcpu = root.find("vcpu")
    return 1 if vcpu is None else int(vcpu.get("current") or vcpu.text or 1)


def _disks_of(root: ET.Element) -> dict[str, bool]:
    """Return each disk's target, and whether there is something in it."""
    return {
        target.get("dev", ""): disk.find("source") is not None
        for disk in root.iterfind("devices/disk")
        if (target := disk.find("target")) is not None and target.get("dev")
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Nic:
    device: str
    #: The resource's id where something else than the device makes it; else empty.
    identity: str
    labels: Mapping[str, str]


def _nics_of(root: ET.Element) -> list[_Nic]:
    nics = []
    for interface in root.iterfind("devices/interface"):
        target, mac = interface.find("target"), interface.find("mac")
        if target is None or mac is None or not target.get("dev"):
            continue  # the host has no counters for it
        filters = interface.find("filterref")
        port = interface.find("virtualport/parameters")
        name = "" if filters is None else filters.get("filter", "")
        labels = {"mac": mac.get("address", ""), "port_id": "" if port is None else port.get("interfaceid", "")}
        nics.append(
            _Nic(
                device=target.get("dev", ""),
                identity=name if name.startswith(_FILTER_OF_ONE) else "",
                labels={key: value for key, value in labels.items() if value},
            )
        )
    return nics
