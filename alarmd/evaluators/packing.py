# SPDX-License-Identifier: Apache-2.0
"""Packing: what is said of a composite rule takes little room until it is asked for, which is seldom."""

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

#: Texts that most rules have in common need not be kept of each: the most usual ones last.
_USUAL: Final = (
    b'"labels.metadata.user_metadata.project_id"ne"eq"le"lt"ge"sum"count"last"min"max'
    b'{"alarm_id":"{"type":"gnocchi_aggregation_by_resources_threshold","query":"'
    b'{"type":"gnocchi_resources_threshold","metric":"cpu","resource_id":"","resource_type":"instance",'
    b'"aggregation_method":"rate:mean","granularity":300,'
    b'{"type":"threshold","meter_name":"cpu_util","query":[{"field":"resource_id","op":"eq","value":"'
    b'"}],"statistic":"avg","period":60,"evaluation_periods":1,"comparison_operator":"gt","threshold":80.0,'
    b'"exclude_outliers":false},'
)
#: A window of 4 KiB reaches from any rule back to the one before, and is quickly made.
_WINDOW_BITS, _MEMORY, _LEVEL = -12, 5, 6


def pack(form: str, wires: Sequence[Mapping[str, Any]]) -> bytes:
    """Return a form and rules, as stored, in few bytes."""
    text = json.dumps([form, *(dict(wire) for wire in wires)], separators=(",", ":"))
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_BITS, _MEMORY, zdict=_USUAL)
    return packer.compress(text.encode()) + packer.flush()


def unpack(packed: bytes) -> tuple[str, list[dict[str, Any]]]:
    """Return the form and the rules that were packed."""
    form, *wires = json.loads(zlib.decompressobj(_WINDOW_BITS, zdict=_USUAL).decompress(packed))
    return form, wires
