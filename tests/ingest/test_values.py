import re
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pplr_cli.data.images import UNKNOWN
from pplr_cli.errors import DataError
from pplr_cli.ingest.values import number_values, read_times

INTEGERS = {17: ["17", "0017", "17.0", "17.", "+17", " 17.000 "], 0: ["0", "-0", "00", "-0.0"]}
MISSING = [
    "-1",
    "-1.0",
    "-5",
    "-0.5",
    "",
    " ",
    "nan",
    "NaN",
    "-nan",
    "None",
    "NULL",
    "N/A",
    "-",
    "?",
]


@pytest.mark.parametrize("others", [[], ["leo"], ["leo", "Anna", "9" * 40]])
def test_each_value_is_judged_by_itself(others: list[str]) -> None:
    spellings = [(number, text) for number, texts in INTEGERS.items() for text in texts]
    column = [*(text for _, text in spellings), *MISSING, None, *others]
    numbers, names = number_values(column)
    assert numbers[: len(spellings)] == [number for number, _ in spellings]
    assert numbers[len(spellings) : -len(others) or None] == [UNKNOWN] * (len(MISSING) + 1)
    assert numbers[len(numbers) - len(others) :] == [
        18 + sorted(others).index(name) for name in others
    ]
    assert names == {18 + place: name for place, name in enumerate(sorted(others))}


@given(st.lists(st.text(max_size=3) | st.integers(-20, 20).map(str), max_size=12))
def test_a_value_never_changes_the_others(column: list[str]) -> None:
    numbers, names = number_values([*column, "leo"])
    alone, _ = number_values(column)
    for one, other in combinations(range(len(column)), 2):
        assert (alone[one] == alone[other]) == (numbers[one] == numbers[other])
    for text, number, before in zip(column, numbers, alone, strict=False):
        assert (number == UNKNOWN) == (before == UNKNOWN)
        if re.fullmatch(r"\d+", text, re.ASCII):
            assert number == before == int(text)
    assert names[numbers[-1]] == "leo"


def test_the_first_spelling_is_the_name() -> None:
    assert number_values(["0017", "17", "3", "e\u0301", "\xe9"]) == (
        [17, 17, 3, 18, 18],
        {17: "0017", 18: "e\u0301"},
    )


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("17", 17),
        ("0017", 17),
        (" 2.5 ", 2.5),
        ("", UNKNOWN),
        (None, UNKNOWN),
        ("NaN", UNKNOWN),
        ("1970-01-01T00:01:00", 60),
        ("1970-01-01 02:00:00.5+02:00", 0.5),
    ],
)
@pytest.mark.parametrize("column", ["frame", "time"])
def test_times_are_numbers_or_dates(text: str | None, time: float, column: str) -> None:
    assert read_times(Path("x"), {"a.jpg": {column: text}}) == [time]


@pytest.mark.parametrize("text", ["noon", "-3", "inf", "1e30", "12:30"])
def test_other_times_are_an_error(text: str) -> None:
    with pytest.raises(DataError, match="1 images with unreadable times") as caught:
        read_times(Path("x"), {"a.jpg": {"frame": "1"}, "b.jpg": {"time": text}})
    assert f"b.jpg ({text})" in caught.value.message
