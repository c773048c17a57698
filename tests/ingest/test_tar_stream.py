import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pplr_cli.ingest.tar_stream import Counted, TarStream


@given(st.binary(max_size=300), st.lists(st.integers(1, 100), max_size=10))
def test_every_byte_is_counted(content: bytes, sizes: list[int]) -> None:
    seen: list[int] = []
    stream = Counted(io.BytesIO(content), seen.append)
    pieces = [stream.read(size) for size in sizes]
    assert b"".join(pieces) == content[: sum(sizes)]
    assert sum(seen) == len(b"".join(pieces))


def read_through(content: bytes, offset: int, piece: int = 1024) -> TarStream:
    stream = TarStream(io.BytesIO(content), lambda _: None)
    for _ in range(offset // piece + 1):
        stream.read(piece)
    return stream


@pytest.mark.parametrize("offset", [0, 512, 1024, 5120])
@pytest.mark.parametrize("zeros", [512, 1024, 3_000_000])
def test_zeros_to_the_end_are_the_end(offset: int, zeros: int) -> None:
    read_through(b"x" * offset + bytes(zeros), offset).check_end(offset)


@pytest.mark.parametrize("offset", [0, 512, 1024, 5120])
@pytest.mark.parametrize("tail", [b"", bytes(100), bytes(5000) + b"x", b"x" * 512])
def test_anything_else_is_no_end(offset: int, tail: bytes) -> None:
    stream = read_through(b"x" * offset + tail, offset)
    with pytest.raises(tarfile.ReadError):
        stream.check_end(offset)
