"""Sparse members of a tar archive: files with holes, which take no room in the archive."""

import tarfile

CONTENT = b"data!"


def gnu(name: str, size: int) -> bytes:
    """Return a member of `size` bytes, of which the first five are stored, as old GNU tar's."""
    info = tarfile.TarInfo(name)
    info.type, info.size = tarfile.GNUTYPE_SPARSE, len(CONTENT)
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    for place, value in ((386, 0), (398, len(CONTENT)), (483, size)):
        header[place : place + 12] = b"%011o\0" % value
    header[148:156] = b"%06o\0 " % tarfile.calc_chksums(bytes(header))[0]
    return bytes(header) + CONTENT.ljust(tarfile.BLOCKSIZE, b"\0")


def pax(name: str, size: int) -> bytes:
    """Return the same in the pax format (version 0.1)."""
    info = tarfile.TarInfo(name)
    info.size = len(CONTENT)
    info.pax_headers = {"GNU.sparse.map": f"0,{len(CONTENT)}", "GNU.sparse.size": str(size)}
    return info.tobuf(tarfile.PAX_FORMAT) + CONTENT.ljust(tarfile.BLOCKSIZE, b"\0")
