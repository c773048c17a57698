"""Keyed random numbers."""

from pplr_cli.data import seeds


def test_the_key_decides() -> None:
    keys = [(purpose, *key) for purpose in (1, 2) for key in ((1, 0), (0, 1), (1, 1), (1, 0, 0))]
    drawn = [seeds.generator(*key).integers(2**62) for key in keys]
    assert drawn == [seeds.generator(*key).integers(2**62) for key in keys]
    # numpy pads keys with zeros, so keys of one purpose must have one length: (1, 0) = (1, 0, 0)
    assert len(set(drawn)) == len(keys) - 2
