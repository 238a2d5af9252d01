# SPDX-License-Identifier: Apache-2.0
from alarmd.pollers.libvirt_domains import Domain, parse_domain

UUID = "3ed32af6-86c7-470e-9119-5a7ff3c35ea3"

OURS = """
<alarmd:resource xmlns:alarmd="https://alarmd.org/xmlns/libvirt/1" project="acme" user="joe">
  <alarmd:label name="group">web</alarmd:label>
  <alarmd:label name="tier"> front </alarmd:label>
  <alarmd:label>nameless</alarmd:label>
</alarmd:resource>
"""


def nova(version: str) -> str:
    return f"""
    <nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/{version}">
      <nova:package version="31.0.0"/>
      <nova:name>web-1</nova:name>
      <nova:flavor name="m1.tiny"><nova:memory>512</nova:memory></nova:flavor>
      <nova:owner>
        <nova:user uuid="u-{version}">joe</nova:user>
        <nova:project uuid="p-{version}">acme</nova:project>
      </nova:owner>
    </nova:instance>
    """


def parsed(metadata: str = "", devices: str = "", vcpu: str = "<vcpu>2</vcpu>") -> Domain:
    xml = f"""
    <domain type='kvm' id='7'>
      <name>instance-1</name><uuid>{UUID}</uuid>
      <metadata>{metadata}</metadata>{vcpu}
      <devices>{devices}</devices>
    </domain>
    """
    return parse_domain(xml, run=7, plugging=0, labels={"host": "hv1", "tier": "back"})


def test_our_metadata_names_owner_and_labels() -> None:
    """Project, user and labels come from our own element; the operator's labels give way."""
    machine = parsed(OURS).machine

    assert (machine.id, machine.project_id, machine.user_id) == (UUID, "acme", "joe")
    assert dict(machine.labels) == {
        "group": "web",
        "host": "hv1",
        "instance_name": "instance-1",
        "resource_type": "instance",
        "tier": "front",
    }


def test_novas_metadata_is_understood_in_both_versions() -> None:
    """An instance of Nova's has its project and user, and its name and flavor as labels."""
    for version in ("1.0", "1.1"):
        machine = parsed(nova(version)).machine

        assert (machine.project_id, machine.user_id) == (f"p-{version}", f"u-{version}")
        assert ("display_name", "web-1") in machine.labels
        assert ("flavor_name", "m1.tiny") in machine.labels


def test_what_ours_says_wins_item_by_item() -> None:
    """Our element overrides what it names, and Nova's fills the rest."""
    ours = '<r:resource xmlns:r="https://alarmd.org/xmlns/libvirt/1" project="mine"/>'
    machine = parsed(nova("1.0") + nova("1.1") + ours).machine

    assert (machine.project_id, machine.user_id) == ("mine", "u-1.1")
    assert ("display_name", "web-1") in machine.labels


def test_a_domain_without_metadata_counts() -> None:
    """A domain of nobody belongs to the project without a name."""
    domain = parsed()

    assert (domain.machine.project_id, domain.machine.user_id) == ("", "")
    assert (domain.vcpus, domain.run) == (2, 7)


def test_vcpus_are_those_plugged_in() -> None:
    """Of the vCPUs that a domain may have, the ones it has now count."""
    assert parsed(vcpu="<vcpu current='3'>8</vcpu>").vcpus == 3


def test_disks_carry_the_labels_of_their_machine() -> None:
    """A disk is named for its target, carries its machine's labels, and an empty drive is known as such."""
    domain = parsed(
        OURS,
        "<disk><source file='/a'/><target dev='vda'/></disk><disk device='cdrom'><target dev='sda'/></disk><disk/>",
    )

    assert sorted(domain.disks) == ["sda", "vda"]
    assert domain.filled == {"vda"}
    assert (domain.disks["vda"].id, domain.disks["vda"].project_id) == (f"{UUID}-vda", "acme")
    assert {("device", "vda"), ("group", "web"), ("instance_id", UUID)} <= set(domain.disks["vda"].labels)


def test_nics_are_named_for_their_tap_or_novas_filter() -> None:
    """A NIC's id is Ceilometer's; a filter that many share names nobody; one that the host cannot count is left out."""
    domain = parsed(
        devices="""
        <interface><mac address='52:54:00:00:00:01'/><target dev='tap1'/>
          <virtualport><parameters interfaceid='port-1'/></virtualport></interface>
        <interface><mac address='52:54:00:00:00:02'/><target dev='tap2'/><filterref filter='nova-instance-1-2'/>
        </interface>
        <interface><mac address='52:54:00:00:00:03'/><target dev='tap3'/><filterref filter='clean-traffic'/></interface>
        <interface type='user'><mac address='52:54:00:00:00:04'/></interface>
        """
    )

    assert {device: nic.id for device, nic in domain.nics.items()} == {
        "tap1": f"instance-1-{UUID}-tap1",
        "tap2": "nova-instance-1-2",
        "tap3": f"instance-1-{UUID}-tap3",
    }
    assert {("mac", "52:54:00:00:00:01"), ("port_id", "port-1")} <= set(domain.nics["tap1"].labels)
