"""Words that several errors share."""

from pplr_cli.text import counted, listed, named, nearest, sized


def test_long_lists_are_cut() -> None:
    lines = listed([f"n{i}" for i in range(25)]).splitlines()
    assert len(lines) == 21
    assert lines[0] == "  n0"
    assert lines[-1] == "  ... and 5 more"
    assert listed(["a", "b"], 2) == "  a\n  b"


def test_many_names_are_cut() -> None:
    assert named(["a", "b", "c", "d"], 2) == "`a`, `b`, ... and 2 more"
    assert named(["a", "b", "c"], 2) == "`a`, `b`, `c`"  # no longer than its count
    assert named(["a", "b"], 2) == "`a`, `b`"
    assert named([]) == ""


def test_nearest() -> None:
    assert nearest("markt", ["market", "veri"]) == "did you mean `market`?"
    assert nearest("map", ["mAP", "rank1"]) == "did you mean `mAP`?"
    assert nearest("xyz", ["market", "veri"]) == "there are market, veri"


def test_counted() -> None:
    found = [counted(n, "epochs") for n in (0, 1, 2, 1200)]
    assert found == ["0 epochs", "1 epoch", "2 epochs", "1,200 epochs"]


def test_sizes_have_a_unit_in_which_they_are_not_zero() -> None:
    sizes = 0, 1, 999, 1000, 3_000_400, 102_530_000, 999_900_000, 25_280_000_000, 1.5e12
    assert list(map(sized, (999_960, 999_999_999))) == ["1.0 MB", "1.0 GB"]
    assert list(map(sized, sizes)) == [
        *("0 bytes", "1 byte", "999 bytes", "1.0 kB", "3.0 MB", "102.5 MB", "999.9 MB"),
        *("25.3 GB", "1,500.0 GB"),
    ]
