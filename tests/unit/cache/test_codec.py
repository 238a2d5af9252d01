# SPDX-License-Identifier: Apache-2.0
"""Batches as bytes and back."""

import struct
import threading
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from alarmd.cache.codec import Decoder, Undecodable, encode, timestamp_ms_of
from alarmd.model.samples import Batch, Kind, Metric, Resource, labels_of
from tests.support.batches import a_uniform_batch

_texts = st.text(max_size=12)
_metrics = st.builds(Metric, name=_texts, unit=_texts, kind=st.sampled_from(Kind))
_labels = st.dictionaries(_texts, _texts, max_size=3).map(lambda labels: labels_of(labels.items()))
_traceparents = st.builds(
    "00-{}-{}-{}".format,
    st.integers(1, 2**128 - 1).map("{:032x}".format),
    st.integers(1, 2**64 - 1).map("{:016x}".format),
    st.sampled_from(["00", "01"]),
)
_resources = st.builds(Resource, id=_texts, project_id=_texts, user_id=_texts, labels=_labels)


@st.composite
def _batches(draw: st.DrawFn) -> Batch:
    metrics = tuple(draw(st.lists(_metrics, max_size=4)))
    resources = tuple(draw(st.lists(_resources, max_size=5)))
    numbers = st.floats(allow_infinity=False)
    return Batch(
        source=draw(_texts),
        timestamp_s=draw(st.integers(min_value=0, max_value=10**13)) / 1000,
        metrics=metrics,
        resources=resources,
        values=draw(st_numpy.arrays(np.float64, (len(resources), len(metrics)), elements=numbers)),
        expected=draw(st.integers(min_value=0, max_value=2**32 - 1)),
        traceparent=draw(st.just("") | _traceparents),
    )


def _decoder(max_resources: int = 1000) -> Decoder:
    return Decoder(max_resources=max_resources)


@given(batch=_batches())
def test_round_trip(batch: Batch) -> None:
    """Every batch comes back as it was, bit by bit."""
    decoded = _decoder().decode(encode(batch))

    assert decoded.source == batch.source
    assert decoded.timestamp_s == batch.timestamp_s
    assert decoded.metrics == batch.metrics
    assert decoded.resources == batch.resources
    assert decoded.expected == batch.expected
    assert decoded.traceparent == batch.traceparent
    assert decoded.values.dtype == np.float64
    assert decoded.values.tobytes() == batch.values.tobytes()


def test_moment_is_kept_to_the_millisecond() -> None:
    """Finer than that it is rounded, and it can be read without the rest."""
    payload = encode(a_uniform_batch(timestamp_s=1_767_225_600.123_9))

    assert _decoder().decode(payload).timestamp_s == 1_767_225_600.124
    assert timestamp_ms_of(payload) == 1_767_225_600_124


def test_entries_of_the_release_before_are_read() -> None:
    """What has no trace is written byte for byte as it was before there were any, so either release reads it."""
    before = _forged(resources=zlib.compress(b'[["vm-1","p1","u1"]]', 1))
    batch = _decoder().decode(before)

    assert (["x"], ["vm-1"], "") == (
        [metric.name for metric in batch.metrics],
        [resource.id for resource in batch.resources],
        batch.traceparent,
    )
    assert before == encode(batch)


def test_strided_values_are_written_in_order() -> None:
    """A matrix that is a view of another is stored as it reads."""
    base = a_uniform_batch(projects=["a", "b"], metrics=["x", "y"])
    values = np.arange(8.0).reshape(2, 4)[:, ::2]
    batch = Batch(
        source="test",
        timestamp_s=0.0,
        metrics=base.metrics,
        resources=base.resources,
        values=values,
        expected=2,
    )

    assert _decoder().decode(encode(batch)).values.tolist() == [[0.0, 2.0], [4.0, 6.0]]


def test_decoded_values_cannot_be_written_to() -> None:
    """They lie in the payload, which others may share."""
    decoded = _decoder().decode(encode(a_uniform_batch()))

    assert not decoded.values.flags.writeable


def test_same_header_is_the_same_object() -> None:
    """Metrics and resources that are equal are decoded once, each on its own."""
    decoder = _decoder()
    first = decoder.decode(encode(a_uniform_batch(projects=["a", "b"], metrics=["x"])))
    same = decoder.decode(
        encode(a_uniform_batch(projects=["a", "b"], metrics=["x"], value=2.0, timestamp_s=5.0, source="s"))
    )
    other_resources = decoder.decode(encode(a_uniform_batch(projects=["c"], metrics=["x"])))
    other_metrics = decoder.decode(encode(a_uniform_batch(projects=["a", "b"], metrics=["y"])))

    assert same.resources is first.resources
    assert same.metrics is first.metrics
    assert other_resources.metrics is first.metrics
    assert other_metrics.resources is first.resources


def test_memory_of_headers_is_bounded() -> None:
    """The header used longest ago is forgotten, the one just used is kept, even if it is too large by itself."""
    decoder = _decoder(max_resources=4)
    payloads = [encode(a_uniform_batch(projects=[f"{name}{number}" for number in range(2)])) for name in "abc"]
    a, b = (decoder.decode(payload).resources for payload in payloads[:2])
    a_again = decoder.decode(payloads[0]).resources
    decoder.decode(payloads[2])
    a_kept = decoder.decode(payloads[0]).resources
    b_forgotten = decoder.decode(payloads[1]).resources
    large = encode(a_uniform_batch(projects=[f"large{number}" for number in range(10)]))

    assert a is a_again is a_kept
    assert b is not b_forgotten
    assert b == b_forgotten
    assert decoder.decode(large).resources is decoder.decode(large).resources


def test_threads_get_the_same_objects() -> None:
    """Threads that decode the same header at once agree on one tuple."""
    decoder = _decoder(max_resources=10_000)
    payload = encode(a_uniform_batch(projects=[f"project-{number}" for number in range(2000)]))
    start = threading.Barrier(4)
    seen: list[tuple[Resource, ...]] = []

    def decode() -> None:
        start.wait()
        seen.append(decoder.decode(payload).resources)

    threads = [threading.Thread(target=decode) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({id(resources) for resources in seen}) == 1


@given(data=st.binary(max_size=200))
def test_garbage_is_refused(data: bytes) -> None:
    """Bytes that nobody encoded are refused, and with one error only."""
    with pytest.raises(Undecodable):
        _decoder().decode(data)


@given(data=st.data())
def test_damage_is_noticed(data: st.DataObject) -> None:
    """A batch with any byte changed, or cut off anywhere, is refused."""
    batch = a_uniform_batch(projects=["a", "b"], metrics=["x", "y"])
    payload = encode(replace(batch, traceparent=data.draw(st.just("") | _traceparents)))
    place = data.draw(st.integers(min_value=0, max_value=len(payload) - 1))
    change = data.draw(st.integers(min_value=1, max_value=255))
    damaged = payload[:place] + bytes([payload[place] ^ change]) + payload[place + 1 :]
    for bad in (damaged, payload[:place]):
        with pytest.raises(Undecodable):
            _decoder().decode(bad)


def _forged(*, resources: bytes, metrics: bytes = b'[["x","","gauge"]]', rows: int = 1, columns: int = 1) -> bytes:
    """Return bytes whose checksum holds, but whose contents nobody of us would write."""
    fixed = struct.pack("<qIIIIII", 0, 1, rows, columns, 1, len(metrics), len(resources))
    body = fixed + bytes(8 * rows * columns) + b"s" + metrics + resources
    return struct.pack("<4sI", b"ALB1", zlib.crc32(body)) + body


@pytest.mark.parametrize(
    "payload",
    [
        _forged(resources=b"not zlib"),
        _forged(resources=zlib.compress(b"not json")),
        _forged(resources=zlib.compress(b'[["a","b","c"]]')[:-3]),
        _forged(resources=zlib.compress(b'[["a","b","c","label without value"]]')),
        _forged(resources=zlib.compress(b'[["a","b",3]]')),
        _forged(resources=zlib.compress(b"{}"), rows=1),
        _forged(resources=zlib.compress(b"3")),
        _forged(resources=zlib.compress(b'[["a","b","c"]]'), metrics=b'[["x","","unheard of"]]'),
        _forged(resources=zlib.compress(b'[["a","b","c"]]'), metrics=b'["x"]'),
        _forged(resources=zlib.compress(b'[["a","b","c"]]'), rows=2),
    ],
)
def test_contents_are_checked_too(payload: bytes) -> None:
    """A checksum that holds does not make a batch."""
    with pytest.raises(Undecodable):
        _decoder().decode(payload)


def test_resources_that_unpack_without_end_are_refused() -> None:
    """A few bytes that would fill the memory are not unpacked."""
    endless = zlib.compress(bytes(65 * 1024 * 1024), 1)
    with pytest.raises(Undecodable, match="take more than"):
        _decoder().decode(_forged(resources=endless))
