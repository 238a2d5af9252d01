# SPDX-License-Identifier: Apache-2.0
"""How results look."""

import pytest

from alarmd.cli.output import Format, Output

ITEM = {"name": "q" * 250, "value": 2066120000000.0, "labels": {"a": "b"}, "many": ["x", "y"], "none": None}


def test_a_table_folds_what_is_wide_and_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Every character of a long text is there, on several lines."""
    Output().item(ITEM)
    shown = capsys.readouterr().out

    assert shown.count("q") == 250
    assert max(len(line) for line in shown.splitlines()) < 120


def test_numbers_are_shown_as_people_write_them(capsys: pytest.CaptureFixture[str]) -> None:
    """Whole numbers without a fraction, others in full; lists and objects on one line."""
    for value in (2066120000000.0, 0.1, -4.5, 95.0, 3):
        Output(format=Format.VALUE).item({"value": value})
    Output(format=Format.VALUE, columns=("labels", "many", "none")).rows([ITEM], columns=("name",))

    assert capsys.readouterr().out.splitlines() == ["2066120000000", "0.1", "-4.5", "95", "3", '{"a": "b"} x, y ']


@pytest.mark.parametrize(("form", "expected"), [(Format.TABLE, "name"), (Format.CSV, "name\n"), (Format.VALUE, "")])
def test_an_empty_list_still_has_its_header(capsys: pytest.CaptureFixture[str], form: Format, expected: str) -> None:
    """In the forms that have one."""
    Output(format=form).rows([], columns=("name",))

    assert expected in capsys.readouterr().out
