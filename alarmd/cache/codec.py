# SPDX-License-Identifier: Apache-2.0
"""One batch as bytes: what every engine of the sample log stores.

    offset  size
    0       4     magic and version of the layout, ``ALB1``, or ``ALB2`` when a trace stands at the end
    4       4     CRC-32 of everything after it
    8       8     moment of the values, milliseconds since the Unix epoch
    16      4     how many resources were expected
    20      4     R, number of resources
    24      4     M, number of metrics
    28      4     length of the source's name
    32      4     length of the metrics
    36      4     length of the resources
    40      8RM   the values, float64, row by row
            …     the source's name, UTF-8
            …     the metrics, JSON: [[name, unit, kind], …]
            …     the resources, JSON in zlib: [[id, project, user, label, value, label, value, …], …]
            25    in ``ALB2`` only, the trace of what brought the values: trace id, span id, flags (W3C)

All numbers are little-endian. The values stand first so that they are aligned and can be used where they lie.
"""

import json
import struct
import sys
import zlib
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any, Final, Generic, TypeVar

import numpy as np

from alarmd.model.samples import Batch, Kind, Metric, Resource
from alarmd.model.trace import read_traceparent

_MAGIC: Final = b"ALB1"
#: The same with a trace behind it. Batches without one are written as they always were, so that nobody need know.
_TRACED: Final = b"ALB2"
_TRACE: Final = struct.Struct("<16s8s1s")
_PREFIX: Final = struct.Struct("<4sI")
_FIXED: Final = struct.Struct("<qIIIIII")
_HEAD_BYTES: Final = _PREFIX.size + _FIXED.size
_VALUE: Final = np.dtype("<f8")

#: How large the resources of one batch may become when they are unpacked; more is no batch of ours.
_MAX_RESOURCES_BYTES: Final = 64 * 1024 * 1024
#: The batches of a source differ in their numbers only, so the quickest level is enough.
_ZLIB_LEVEL: Final = 1

#: How many decoded metrics a decoder remembers. There are a few dozen in a deployment, in ever the same company.
_MAX_METRICS: Final = 10_000

_Item = TypeVar("_Item")


class Undecodable(ValueError):
    """The bytes are not a batch, or one of a version that this release does not know."""


def encode(batch: Batch) -> bytes:
    """Return a batch as bytes. Its moment is rounded to the millisecond."""
    source = batch.source.encode()
    metrics = _json([[metric.name, metric.unit, metric.kind] for metric in batch.metrics])
    resources = zlib.compress(_json([_flat(resource) for resource in batch.resources]), _ZLIB_LEVEL)
    fixed = _FIXED.pack(
        round(batch.timestamp_s * 1000),
        batch.expected,
        len(batch.resources),
        len(batch.metrics),
        len(source),
        len(metrics),
        len(resources),
    )
    values = np.ascontiguousarray(batch.values, dtype=_VALUE).tobytes()
    trace = bytes.fromhex(batch.traceparent[3:].replace("-", ""))
    body = b"".join((fixed, values, source, metrics, resources, trace))
    return _PREFIX.pack(_TRACED if trace else _MAGIC, zlib.crc32(body)) + body


def timestamp_ms_of(payload: bytes) -> int:
    """Return the moment of an encoded batch, milliseconds since the epoch, without decoding the rest.

    Raises `Undecodable` when it does not even begin like a batch.
    """
    if len(payload) < _HEAD_BYTES or payload[:4] not in {_MAGIC, _TRACED}:
        raise Undecodable("does not begin like a batch")
    moment_ms: int = _FIXED.unpack_from(payload, _PREFIX.size)[0]
    return moment_ms


class Decoder:
    """Turns bytes into batches, and remembers the metrics and resources that it has seen.

    Batches whose metrics (or resources) are the same bytes share one and the same tuple, so whoever follows a source
    can tell by identity that nothing has changed. Safe to use from several threads.
    """

    def __init__(self, *, max_resources: int) -> None:
        """Remember up to `max_resources` decoded resources (about 300 bytes each), least recently used first out."""
        self._metrics: _Recent[Metric] = _Recent(_metrics_of, limit=_MAX_METRICS)
        self._resources: _Recent[Resource] = _Recent(_resources_of, limit=max_resources)

    def decode(self, payload: bytes) -> Batch:
        """Return the batch; its values are read-only and lie in the payload. Raises `Undecodable`."""
        timestamp_ms_of(payload)
        body = memoryview(payload)[_PREFIX.size :]
        if zlib.crc32(body) != _PREFIX.unpack_from(payload)[1]:
            raise Undecodable("the checksum does not hold")
        moment_ms, expected, rows, columns, *lengths = _FIXED.unpack_from(body)
        trace_bytes = _TRACE.size if payload[:4] == _TRACED else 0
        start = _HEAD_BYTES + rows * columns * _VALUE.itemsize
        if start + sum(lengths) + trace_bytes != len(payload):
            raise Undecodable(
                f"{len(payload)} bytes cannot hold {rows} x {columns} values and texts of {lengths} bytes"
            )
        parts = []
        for length in lengths:
            parts.append(payload[start : start + length])
            start += length
        source, metrics, resources = parts
        values = np.frombuffer(payload, dtype=_VALUE, count=rows * columns, offset=_HEAD_BYTES).reshape(rows, columns)
        try:
            return Batch(
                source=source.decode(),
                timestamp_s=moment_ms / 1000,
                metrics=self._metrics.of(metrics),
                resources=self._resources.of(resources),
                values=values,
                expected=expected,
                traceparent=_trace_of(payload) if trace_bytes else "",
            )
        except (ValueError, TypeError, zlib.error) as error:
            raise Undecodable(f"the checksum holds, but not the contents: {error}") from error


class _Recent(Generic[_Item]):
    """Decoded tuples by the bytes they came from, as many as hold `limit` items together."""

    def __init__(self, decode: Callable[[bytes], tuple[_Item, ...]], *, limit: int) -> None:
        self._decode = decode
        self._limit = limit
        self._held = 0
        self._tuples: OrderedDict[bytes, tuple[_Item, ...]] = OrderedDict()
        self._lock = Lock()

    def of(self, data: bytes) -> tuple[_Item, ...]:
        """Return the tuple that the bytes stand for, the same object as last time if it is still remembered."""
        with self._lock:
            found = self._tuples.get(data)
            if found is not None:
                self._tuples.move_to_end(data)
                return found
        decoded = self._decode(data)
        with self._lock:
            # Another thread may have decoded the same meanwhile; then both use the first.
            known = self._tuples.setdefault(data, decoded)
            if known is decoded:
                self._held += max(1, len(decoded))
            # The newest always stays, however large it is: the next batch will most likely ask for it.
            while self._held > self._limit and len(self._tuples) > 1:
                _, dropped = self._tuples.popitem(last=False)
                self._held -= max(1, len(dropped))
            return known


def _metrics_of(data: bytes) -> tuple[Metric, ...]:
    return tuple(Metric(name=name, unit=unit, kind=Kind(kind)) for name, unit, kind in json.loads(data))


def _resources_of(data: bytes) -> tuple[Resource, ...]:
    unpacker = zlib.decompressobj()
    text = unpacker.decompress(data, _MAX_RESOURCES_BYTES)
    if not unpacker.eof:
        raise Undecodable(f"the resources are cut off or take more than {_MAX_RESOURCES_BYTES} bytes")
    # Projects, users and labels are the same few over and over: one string object each is enough.
    intern = sys.intern
    return tuple(
        Resource(
            id=id_,
            project_id=intern(project_id),
            user_id=intern(user_id),
            labels=tuple(zip(map(intern, flat[::2]), map(intern, flat[1::2]), strict=True)),
        )
        for id_, project_id, user_id, *flat in json.loads(text)
    )


def _trace_of(payload: bytes) -> str:
    trace, span, flags = _TRACE.unpack_from(payload, len(payload) - _TRACE.size)
    return read_traceparent(f"00-{trace.hex()}-{span.hex()}-{flags.hex()}")


def _flat(resource: Resource) -> list[str]:
    return [resource.id, resource.project_id, resource.user_id, *(text for pair in resource.labels for text in pair)]


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
