"""Data sets of crops that are brought up to date with their source."""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from PIL import Image as Picture

from pplr_cli.data.images import Split
from pplr_cli.data.manifest import Manifest
from pplr_cli.errors import DataError, UsageError
from pplr_cli.ingest import integrity
from pplr_cli.ingest.library import check, prepare
from pplr_cli.ingest.prepare import Prepared
from pplr_cli.ingest.request import PrepareRequest
from pplr_cli.ingest.update import describe_changes
from pplr_cli.progress import Silent

Plant = Callable[[Path, Iterable[str]], Path]

FIRST = ("hall/leo_1.jpg", "hall/7_1.jpg", "yard/leo_2.jpg")
PATTERN = r"(?P<camera>\w+)/(?P<identity>\w+)_"


@pytest.fixture
def source(tmp_path: Path, plant: Plant) -> Path:
    return plant(tmp_path / "crops", FIRST)


def run(source: Path, **options: object) -> Prepared:
    given = {"pattern": PATTERN, "update": True, **options}
    data_dir = source.parent / "data"
    request = PrepareRequest("folder", (source,), data_dir, "shop", **given)  # type: ignore[arg-type]
    return prepare(request, Silent())


def labels(manifest: Manifest) -> dict[str, tuple[str, str]]:
    names = manifest.names
    return {i.path: (names.identity(i.identity), names.camera(i.camera)) for i in manifest.images}


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are decoded."""
    names: list[str] = []
    whole = integrity.decode_opened

    def note(file, **options):  # type: ignore[no-untyped-def]
        names.append(Path(file.name).name)
        return whole(file, **options)

    monkeypatch.setattr(integrity, "decode_opened", note)
    return names


@pytest.mark.parametrize("link", [False, True])
def test_an_update_without_the_pattern_drops_no_labels(source: Path, link: bool) -> None:
    before = run(source, link=link, update=False)
    (source / "yard" / "new_1.jpg").write_bytes((source / FIRST[0]).read_bytes())
    with pytest.raises(DataError, match="would drop the identity and the camera of all") as caught:
        run(source, link=link, pattern=None)
    assert "`--pattern`" in str(caught.value.hint)
    assert Manifest.load(before.path) == before.manifest


def test_an_update_by_a_table(source: Path, plant: Plant, decoded: list[str]) -> None:
    table = source.parent / "crops.csv"
    table.write_text(f"path,identity\n{FIRST[0]},leo\n{FIRST[1]},ann\n")
    first = run(source, pattern=None, table=table).manifest
    plant(source, ["attic/new.jpg"])
    table.write_text(f"path,identity\nattic/new.jpg,zoe\n{FIRST[2]},leo\n{FIRST[0]},leo\n")
    decoded.clear()
    second = run(source, pattern=None, table=table).manifest
    assert sorted(decoded) == ["leo_2.jpg", "new.jpg"]
    assert {path: who for path, (who, _) in labels(second).items()} == {
        FIRST[0]: "leo", FIRST[2]: "leo", "attic/new.jpg": "zoe",
    }  # fmt: skip
    numbers = {i.path: i.identity for i in (*first.images, *second.images)}
    assert numbers[FIRST[0]] == numbers[FIRST[2]]
    assert len(set(numbers.values())) == 3
    assert set(files(second.root)) == set(second.paths)


def test_other_labels_are_counted(source: Path) -> None:
    old = run(source, update=False).manifest
    new = run(source, pattern=r"(?P<camera>\w+)/\w+_(?P<identity>\d)").manifest
    assert describe_changes(old, new).endswith("3 kept, 3 of them with other labels")
    assert describe_changes(old, old).endswith("3 kept")


@pytest.mark.parametrize("link", [False, True])
def test_an_update_equals_a_new_preparation_but_decodes_what_changed(
    source: Path, plant: Plant, decoded: list[str], link: bool
) -> None:
    first = run(source, link=link)
    kept = (first.manifest.root / "hall/7_1.jpg").stat()
    plant(source, ["attic/ann_1.jpg", "yard/7_2.jpg"])
    shutil.copy(source / "yard/7_2.jpg", source / "hall/leo_1.jpg")
    Picture.effect_noise((16, 32), 90).save(source / "yard/7_2.jpg")
    (source / "yard/leo_2.jpg").unlink()
    decoded.clear()
    updated = run(source, link=link).manifest
    assert sorted(decoded) == ["7_2.jpg", "ann_1.jpg", "leo_1.jpg"]
    assert (updated.root / "hall/7_1.jpg").stat() == kept
    assert updated.root == first.manifest.root
    assert files(updated.root) == files(source)
    assert check("shop", source.parent / "data", Silent()) == (updated, [])
    anew = prepare(
        PrepareRequest("folder", (source,), source.parent / "other", "shop", pattern=PATTERN),
        Silent(),
    ).manifest
    assert labels(updated) == labels(anew)
    assert updated.contents == anew.contents


def test_numbers_keep_their_meaning(source: Path, plant: Plant) -> None:
    first = run(source).manifest
    (leo,) = {i.identity for i in first.images if first.names.identity(i.identity) == "leo"}
    hall, yard = first.split(Split.TRAIN).cameras[[0, -1]]
    plant(source, [f"attic/{who}_3.jpg" for who in ("ann", leo, leo + 5)])
    for path in FIRST[::2]:
        (source / path).unlink()
    second = run(source).manifest
    numbers = {labels(second)[i.path]: (i.identity, i.camera) for i in second.images}
    assert numbers["7", "hall"] == (7, hall)
    assert len({who for who, _ in numbers.values()} | {leo}) == 5
    assert numbers["ann", "attic"][1] not in (hall, yard)
    plant(source, [FIRST[0]])
    third = {image.path: image for image in run(source).manifest.images}
    assert third[FIRST[0]][2:4] == (leo, hall)
    assert all(third[image.path] == image for image in second.images)


def test_nothing_changed(source: Path, decoded: list[str]) -> None:
    first = run(source)
    decoded.clear()
    assert run(source).manifest == first.manifest
    assert decoded == []


def test_a_broken_new_image_leaves_the_data_set_as_it_was(source: Path) -> None:
    run(source)
    before = files(source.parent / "data" / "shop")
    (source / "hall/new_1.jpg").touch()
    with pytest.raises(DataError, match=r"1 of 4 image files[^$]*new_1\.jpg: empty"):
        run(source)
    assert files(source.parent / "data" / "shop") == before
    assert len(run(source, skip_bad=True).manifest.images) == 3


def test_an_update_that_was_killed_is_completed(
    source: Path, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(source)
    plant(source, ["hall/ann_1.jpg", "hall/ann_2.jpg"])
    (source / "yard/leo_2.jpg").unlink()

    def stop(self: Manifest, folder: Path) -> Path:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Manifest, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            run(source)
    manifest, faults = check("shop", source.parent / "data", Silent())
    assert (len(manifest.images), faults) == (3, [])
    updated = run(source).manifest
    assert files(updated.root) == files(source)
    assert check("shop", source.parent / "data", Silent())[1] == []


def test_what_cannot_be_updated(source: Path, plant: Plant) -> None:
    other = plant(source.parent / "elsewhere", FIRST)
    run(source, link=True)
    with pytest.raises(DataError, match="this data set is there already"):
        run(other, link=True)
    archive = Path(shutil.make_archive(str(source.parent / "x"), "zip", source))
    with pytest.raises(UsageError, match="`--update` goes with a folder, not an archive"):
        run(archive)
    with pytest.raises(UsageError, match="layouts `folder` and `mot`"):
        PrepareRequest("market", (source,), source, update=True)
    with pytest.raises(UsageError, match="`--update` needs a SOURCE"):
        PrepareRequest("folder", (), source, update=True)
