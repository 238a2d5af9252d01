# SPDX-License-Identifier: Apache-2.0
"""Tiny virtual machines that idle until a key is pressed: 16 MiB, no kernel, a boot sector written here."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree as ET

import structlog

from alarmd.cli.demo.hypervisor import Hypervisor, HypervisorUnavailable, import_libvirt
from alarmd.clock import Clock, SystemClock
from alarmd.pollers.libvirt_domains import NAMESPACE

_log = structlog.get_logger()

#: The program, instruction by instruction. It sleeps at 0 % until a key comes, burns 100 % until the next, and so on.
_PROGRAM = (
    b"\xfb",  # 00        sti              let the keyboard interrupt
    b"\xf4",  # 01 idle:  hlt              sleep until something does (the timer, 18 times a second, or a key)
    b"\xb4\x01",  # 02    mov ah, 1        ask the BIOS ...
    b"\xcd\x16",  # 04    int 0x16         ... whether a key waits
    b"\x74\xf9",  # 06    jz idle
    b"\x30\xe4",  # 08    xor ah, ah       take the key ...
    b"\xcd\x16",  # 0a    int 0x16         ... out of the buffer
    b"\xb4\x01",  # 0c spin: mov ah, 1     ask again, without sleeping
    b"\xcd\x16",  # 0e    int 0x16
    b"\x74\xfa",  # 10    jz spin
    b"\x30\xe4",  # 12    xor ah, ah       take that key too
    b"\xcd\x16",  # 14    int 0x16
    b"\xeb\xe9",  # 16    jmp idle
)
_SECTOR_BYTES = 512
_BOOT_SIGNATURE = b"\x55\xaa"
#: Small, but large enough for the BIOS to make sense of it as a hard disk.
_DISK_BYTES = 64 * 1024

_DISK = "hda"
_BOOT_TIMEOUT_S = 30.0

_KEY_B = 48
_KEY_HELD_MS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What is told about a machine when it is started."""

    name: str
    uuid: str = field(default_factory=lambda: str(uuid4()))
    project_id: str = ""
    user_id: str = ""
    #: Our labels, in libvirt's metadata, e.g. ``{"group": "web"}``.
    labels: Mapping[str, str] = field(default_factory=dict)
    vcpus: int = 1
    #: Name of a network interface that the host sees (15 characters at most); needs root. Empty for none.
    tap: str = ""
    #: More elements for ``<metadata>``, e.g. another tool's.
    extra_metadata: str = ""


class Machines:
    """Starts, loads and removes machines on a private hypervisor. Used by one thread."""

    def __init__(self, hypervisor: Hypervisor, *, clock: Clock | None = None) -> None:
        self._hypervisor = hypervisor
        self._clock = clock or SystemClock()
        self._pause = Event()
        self._connection: Any = None

    def start(self, machine: Machine) -> None:
        """Boot a machine; takes about a third of a second.

        Raises `HypervisorUnavailable` in libvirt's words.
        """
        image = self._image_of(machine.name)
        image.write_bytes(boot_sector().ljust(_DISK_BYTES, b"\0"))
        kinds = (self._hypervisor.accelerator, "qemu")  # what KVM refuses, software emulation can still run
        for kind in dict.fromkeys(kinds):
            try:
                self._libvirt(lambda conn, kind=kind: conn.createXML(definition(machine, image=image, kind=kind), 0))
            except HypervisorUnavailable:
                if kind == "qemu":
                    raise
            else:
                break
        _log.info("machine_started", machine=machine.name, uuid=machine.uuid)

    def press_key(self, name: str) -> None:
        """Press a key at a machine: one that sleeps starts to burn its CPU, one that burns goes to sleep.

        Waits for a machine that has just been started: its BIOS would swallow the key. Raises `HypervisorUnavailable`.
        """
        deadline_s = self._clock.monotonic_s() + _BOOT_TIMEOUT_S
        while not self._libvirt(lambda conn: conn.lookupByName(name).blockStats(_DISK)[0]):
            if self._clock.monotonic_s() > deadline_s:
                raise HypervisorUnavailable(f"{name} has not read its boot sector within {_BOOT_TIMEOUT_S:g} s.")
            self._pause.wait(0.05)
        self._libvirt(lambda conn: conn.lookupByName(name).sendKey(0, _KEY_HELD_MS, [_KEY_B], 1, 0))

    def set_metadata(self, machine: Machine) -> None:
        """Write the machine's project, user and labels to the running domain, as an engine would on a change."""
        # libvirt adds the namespace by itself, to the element and to what is in it.
        element = ET.tostring(resource_element(machine, namespace=""), encoding="unicode")
        self._libvirt(
            lambda conn: conn.lookupByName(machine.name).setMetadata(
                2,  # VIR_DOMAIN_METADATA_ELEMENT
                element,
                "alarmd",
                NAMESPACE,
                1,  # VIR_DOMAIN_AFFECT_LIVE
            )
        )

    def remove(self, name: str) -> None:
        """Turn a machine off, which removes it, and its image."""
        self._libvirt(lambda conn: conn.lookupByName(name).destroy())
        self._image_of(name).unlink(missing_ok=True)
        _log.info("machine_removed", machine=name)

    def names(self) -> list[str]:
        """Return the names of the running machines, sorted."""
        return sorted(domain.name() for domain in self._libvirt(lambda conn: conn.listAllDomains(0)))

    def close(self) -> None:
        """Remove every machine and let go of the connection. One that does not react is left to the hypervisor."""
        libvirt = import_libvirt()
        with suppress(HypervisorUnavailable, libvirt.libvirtError):
            for name in self.names():
                self.remove(name)
        if self._connection is not None:
            with suppress(libvirt.libvirtError):
                self._connection.close()
        self._connection = None

    def _image_of(self, name: str) -> Path:
        # Each machine has an image of its own: QEMU locks it against a second writer.
        return self._hypervisor.folder / f"{name}.img"

    def _libvirt(self, action: Any) -> Any:
        """Run an action on the connection, opened anew when libvirtd has been restarted meanwhile."""
        libvirt = import_libvirt()
        try:
            if self._connection is None or not self._connection.isAlive():
                self._connection = libvirt.open(self._hypervisor.uri)
            return action(self._connection)
        except libvirt.libvirtError as error:
            raise HypervisorUnavailable(f"libvirt refused: {error}") from error


def boot_sector() -> bytes:
    """Return the 512 bytes that a machine boots."""
    return b"".join(_PROGRAM).ljust(_SECTOR_BYTES - len(_BOOT_SIGNATURE), b"\0") + _BOOT_SIGNATURE


def resource_element(machine: Machine, *, namespace: str = f"{{{NAMESPACE}}}") -> ET.Element:
    """Return the metadata element that says whose the machine is."""
    ET.register_namespace("alarmd", NAMESPACE)
    owner = {"project": machine.project_id, "user": machine.user_id}
    element = ET.Element(f"{namespace}resource", {key: value for key, value in owner.items() if value})
    for name, value in sorted(machine.labels.items()):
        ET.SubElement(element, f"{namespace}label", {"name": name}).text = value
    return element


def definition(machine: Machine, *, image: Path, kind: str) -> str:
    """Return the domain XML of a machine; `kind` is libvirt's domain type, ``kvm`` or ``qemu``."""
    domain = ET.Element("domain", {"type": kind})
    _text(domain, "name", machine.name)
    _text(domain, "uuid", machine.uuid)
    _text(domain, "memory", "16", unit="MiB")
    _text(domain, "vcpu", str(machine.vcpus))
    metadata = ET.SubElement(domain, "metadata")
    if machine.project_id or machine.user_id or machine.labels:
        metadata.append(resource_element(machine))
    metadata.extend(ET.fromstring(f"<m>{machine.extra_metadata}</m>"))  # noqa: S314  # the caller's own text
    system = ET.SubElement(domain, "os")
    _text(system, "type", "hvm", arch="x86_64", machine="pc")
    ET.SubElement(system, "boot", {"dev": "hd"})
    devices = ET.SubElement(domain, "devices")
    disk = ET.SubElement(devices, "disk", {"type": "file", "device": "disk"})
    ET.SubElement(disk, "driver", {"name": "qemu", "type": "raw"})
    ET.SubElement(disk, "source", {"file": str(image)})
    ET.SubElement(disk, "target", {"dev": _DISK, "bus": "ide"})
    if machine.tap:
        card = ET.SubElement(devices, "interface", {"type": "ethernet"})
        ET.SubElement(card, "target", {"dev": machine.tap})
        # A card that takes packets from the host though the machine has no driver for it.
        ET.SubElement(card, "model", {"type": "rtl8139"})
    ET.SubElement(devices, "memballoon", {"model": "virtio"})
    return ET.tostring(domain, encoding="unicode")


def _text(parent: ET.Element, tag: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, tag, attributes).text = text
