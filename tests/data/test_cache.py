"""Decoding, resizing and the cache of decoded images."""

import errno
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from pplr_cli.data import cache
from pplr_cli.data.cache import decode_images, map_images
from pplr_cli.data.decode import decode
from pplr_cli.data.images import ImageSet
from pplr_cli.errors import DataError, PplrError
from pplr_cli.progress import Silent


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PPLR_CACHE_DIR", str(tmp_path / "cache"))


def picture(seed: int, size: tuple[int, int] = (20, 30)) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def image_set(folder: Path, count: int = 4) -> ImageSet:
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{i}.png" for i in range(count)]
    for i, name in enumerate(names):
        picture(i).save(folder / name)
    unknown = np.full(count, -1)
    return ImageSet(folder, tuple(names), unknown, unknown)


def resized(file: Path) -> np.ndarray:
    return np.asarray(decode(file).resize((8, 16), Image.Resampling.BICUBIC))


def cached(tmp_path: Path) -> set[Path]:
    return set((tmp_path / "cache" / "images").glob("*.npy"))


def load(found: ImageSet) -> np.ndarray:
    return map_images(found, 16, 8, Silent(), 2)


@pytest.mark.parametrize("size", [(64, 128), (128, 384), (45, 101), (300, 500), (7, 139)])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_resize_is_the_official_transform_to_the_bit(
    size: tuple[int, int], mode: str, tmp_path: Path
) -> None:
    from torchvision import transforms  # not above: processes of other tests import this file

    path = tmp_path / "a.jpg"
    picture(0, size).convert(mode).save(path)
    official = transforms.Resize((384, 128), interpolation=transforms.InterpolationMode.BICUBIC)
    expected = np.asarray(official(Image.open(path).convert("RGB")))
    unknown = np.array([-1])
    found = ImageSet(tmp_path, ("a.jpg",), unknown, unknown)
    pixels = decode_images(found, 384, 128, Silent(), 1)
    np.testing.assert_array_equal(pixels[0], expected)


def test_cache_holds_what_decoding_gives(tmp_path: Path) -> None:
    found = image_set(tmp_path / "data")
    expected = np.stack([resized(file) for file in found.files])
    np.testing.assert_array_equal(decode_images(found, 16, 8, Silent(), 2), expected)
    np.testing.assert_array_equal(load(found), expected)
    np.testing.assert_array_equal(load(found), expected)


def test_second_use_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = image_set(tmp_path / "data")
    expected = load(found).copy()
    monkeypatch.setattr(cache, "for_all", lambda *_, **__: pytest.fail("decoded again"))
    np.testing.assert_array_equal(load(found), expected)


def test_changed_image_is_decoded_again(tmp_path: Path) -> None:
    found = image_set(tmp_path / "data")
    load(found)
    status = found.files[1].stat()
    picture(77).save(found.files[1])
    os.utime(found.files[1], ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    np.testing.assert_array_equal(load(found)[1], resized(found.files[1]))


def test_same_size_edit_is_decoded_again(tmp_path: Path) -> None:
    found = image_set(tmp_path / "data")
    for file in found.files:
        Image.open(file).save(file.with_suffix(".bmp"), "PNG", compress_level=0)
        file.write_bytes(file.with_suffix(".bmp").read_bytes())
    load(found)
    size = found.files[1].stat().st_size
    picture(77).save(found.files[1], compress_level=0)
    assert found.files[1].stat().st_size == size
    np.testing.assert_array_equal(load(found)[1], resized(found.files[1]))


@pytest.mark.parametrize(
    "change", [{"contents": ("a", "b", "c", "d")}, {"upright": True}, {"paths": ("3.png",) * 4}]
)
def test_what_the_manifest_says_is_part_of_the_key(tmp_path: Path, change: dict[str, Any]) -> None:
    found = image_set(tmp_path / "data")
    load(found)
    load(replace(found, **change))
    assert len(list((tmp_path / "cache" / "images").iterdir())) == 2


def test_own_images_are_decoded_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    picture(1, (40, 30)).save(tmp_path / "x.png", exif=exif)
    unknown = np.array([-1])
    for upright in (False, True):
        found = ImageSet(tmp_path, ("x.png",), unknown, unknown, upright=upright)
        expected = decode(tmp_path / "x.png", upright=upright)
        expected = expected.resize((8, 16), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(load(found)[0], np.asarray(expected))


def test_half_written_cache_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = image_set(tmp_path / "data")
    whole = cache.decode

    def stop(path: Path, **options: bool) -> Image.Image:
        if path.name == "2.png":
            raise KeyboardInterrupt
        return whole(path, **options)

    monkeypatch.setattr(cache, "decode", stop)
    with pytest.raises(KeyboardInterrupt):
        load(found)
    assert not list((tmp_path / "cache" / "images").iterdir())
    monkeypatch.setattr(cache, "decode", whole)
    assert len(load(found)) == 4


def in_another_process(work: Callable[..., None], *arguments: object) -> SpawnProcess:
    job = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    job.start()
    return job


def decode_after(found: ImageSet, start: Barrier) -> None:
    start.wait()
    load(found)


DAMAGE = {
    "one bit": lambda data: data[:-700] + bytes([data[-700] ^ 1]) + data[-699:],
    "zeroed": lambda data: bytes(len(data)),
    "zeroed at the end": lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
    "cut": lambda data: data[:-900],
    "cut in the header": lambda data: data[:70],
    "empty": lambda data: b"",
    "longer": lambda data: data + b"x" * 4,
    "one more checksum": lambda data: data + b"x" * 36,
    "without checksums": lambda data: data[: -4 * 36],
    "another shape": lambda data: data.replace(b"(4, 16, 8, 3)", b"(4, 8, 16, 3)"),
    "another type": lambda data: data.replace(b"'|u1'", b"'|i1'"),
    "objects": lambda data: data.replace(b"'|u1'", b"'|O1'"),
    "huge": lambda data: data.replace(b"(4, 16, 8, 3), }  ", b"(4, 16, 8, 9999), }"),
    "foreign": lambda data: b"PK\x03\x04" + data[4:],
    "text": lambda data: b"<html>" * 100,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_noticed_and_decoded_again(
    tmp_path: Path, damage: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = image_set(tmp_path / "data")
    expected = load(found).copy()
    (file,) = cached(tmp_path)
    whole = file.read_bytes()
    assert damage(whole) != whole
    file.unlink()  # the mapped array is another file now
    file.write_bytes(damage(whole))
    told: list[str] = []
    monkeypatch.setattr(Silent, "warn", lambda _, message, hint=None: told.append(message))
    np.testing.assert_array_equal(load(found), expected)
    assert file.read_bytes() == whole
    assert len(told) == 1
    assert told[0].startswith(f"`{file}`: damaged or outdated")


def test_two_processes_may_fill_the_cache_at_once(tmp_path: Path) -> None:
    found = image_set(tmp_path / "data", 200)
    start = multiprocessing.get_context("spawn").Barrier(2)
    jobs = [in_another_process(decode_after, found, start) for _ in range(2)]
    for job in jobs:
        job.join()
    assert [job.exitcode for job in jobs] == [0, 0]
    assert len(cached(tmp_path)) == 1
    np.testing.assert_array_equal(load(found)[7], resized(found.files[7]))


def test_one_decodes_and_the_others_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = image_set(tmp_path / "data")
    expected = load(found).copy()
    (whole,) = cached(tmp_path)
    aside = whole.rename(tmp_path / "aside")

    @contextmanager
    def busy(lock: Path, wait: Callable[[], None]) -> Iterator[None]:
        wait()
        aside.rename(whole)  # the other process is done
        lock.touch()
        yield

    told: list[str] = []
    monkeypatch.setattr(cache, "locked", busy)
    monkeypatch.setattr(cache, "for_all", lambda *_, **__: pytest.fail("decoded again"))
    monkeypatch.setattr(Silent, "info", lambda _, message: told.append(message))
    np.testing.assert_array_equal(load(found), expected)
    assert told == ["another pplr is decoding images into the cache; waiting for it"]


def decode_and_be_killed(found: ImageSet) -> None:
    whole = cache.decode

    def kill(path: Path, **options: bool) -> Image.Image:
        if path.name == "2.png":
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(path, **options)

    cache.decode = kill
    load(found)


def test_what_a_killed_process_left_is_removed_and_decoded_anew(tmp_path: Path) -> None:
    found = image_set(tmp_path / "data")
    job = in_another_process(decode_and_be_killed, found)
    job.join()
    assert job.exitcode == -signal.SIGKILL
    (stray,) = (tmp_path / "cache" / "images").glob("*.tmp")
    changed = image_set(tmp_path / "other", 3)
    load(changed)
    assert not stray.exists()
    np.testing.assert_array_equal(load(found)[2], resized(found.files[2]))
    assert {file.suffix for file in (tmp_path / "cache" / "images").iterdir()} == {".npy"}


def test_arrays_that_nobody_uses_go_when_the_next_is_written(tmp_path: Path) -> None:
    sets = [image_set(tmp_path / name, 2) for name in ("old", "used", "new")]
    load(sets[0])
    (old,) = cached(tmp_path)
    load(sets[1])
    (used,) = cached(tmp_path) - {old}
    for file in (old, used):
        os.utime(file, (0, 0))
    load(sets[1])
    load(sets[2])
    assert not old.exists()
    assert used.exists()


def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the name of each image that is decoded."""
    names: list[str] = []
    whole = cache.decode

    def note(path: Path, **options: bool) -> Image.Image:
        names.append(path.name)
        return whole(path, **options)

    monkeypatch.setattr(cache, "decode", note)
    return names


def test_a_data_set_that_grows_decodes_the_new_images_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown = image_set(tmp_path / "data", 6)
    load(replace(grown, paths=grown.paths[:4]))
    (before,) = cached(tmp_path)
    names = decoded(monkeypatch)
    fewer = replace(grown, paths=grown.paths[1:])
    np.testing.assert_array_equal(load(fewer), np.stack([resized(f) for f in fewer.files]))
    assert sorted(names) == ["4.png", "5.png"]
    assert len(cached(tmp_path) - {before}) == 1
    assert not before.exists()


def test_a_damaged_image_is_not_copied_from_an_earlier_array(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = image_set(tmp_path / "data")
    load(found)
    (file,) = cached(tmp_path)
    content = bytearray(file.read_bytes())
    content[-4 * 36 - 1] ^= 1  # the last pixel of the last image
    file.unlink()
    file.write_bytes(content)
    names = decoded(monkeypatch)
    last = replace(found, paths=found.paths[2:])
    np.testing.assert_array_equal(load(last), np.stack([resized(file) for file in last.files]))
    assert names == ["3.png"]


def test_broken_images_are_all_named(tmp_path: Path) -> None:
    found = image_set(tmp_path / "data", 30)
    data = found.files[3].read_bytes()
    found.files[3].write_bytes(data[: len(data) // 2])
    for file in found.files[5:]:
        file.write_bytes(b"")
    with pytest.raises(
        DataError, match=r"(?s)26 of 30 image files cannot be used:.*3\.png.*and 6 more"
    ):
        load(found)


def test_vanished_image_is_named(tmp_path: Path) -> None:
    found = image_set(tmp_path / "data")
    found.files[2].unlink()
    with pytest.raises(DataError, match=r"2\.png`: the image is gone"):
        load(found)


def test_full_disk_is_told_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = image_set(tmp_path / "data")
    usage = type("Usage", (), {"free": 10})()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(PplrError, match=r"decoded images.* 10 bytes are free"):
        load(found)


def test_disk_that_fills_up_is_told_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = image_set(tmp_path / "data")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    monkeypatch.setattr(cache, "for_all", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(DataError, match="No space left") as caught:
        load(found)
    assert "--no-cache" in str(caught.value.hint)
    assert not list((tmp_path / "cache" / "images").iterdir())


def test_a_system_that_cannot_reserve_blocks_caches_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "posix_fallocate")
    load(image_set(tmp_path / "data"))
    assert len(list((tmp_path / "cache" / "images").glob("*.npy"))) == 1


def test_cache_of_another_user_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = image_set(tmp_path / "data")
    expected = load(found).copy()

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "utime", refuse)
    np.testing.assert_array_equal(load(found), expected)
