"""Write labels as folders, one per identity, with links to the images or copies of them."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from pplr_cli.errors import DataError
from pplr_cli.files import check_output, native
from pplr_cli.ingest.known import UNLABELED
from pplr_cli.labelling.clustering import OUTLIER
from pplr_cli.runs.labels import AssignedRow, Row


def write_folders(
    rows: Iterable[Row | AssignedRow],
    root: Path,
    target: Path,
    *,
    copy: bool,
    overwrite: bool = False,
) -> None:
    """Write `<target>/<identity>/<image>` for each row.

    An image is named by its path, with `__` for `/`.

    Args:
        rows: the labels.
        root: folder that the rows' paths are relative to.
        target: a folder that does not exist, or is empty.
        copy: copy the images instead of linking to them.
        overwrite: remove the folders of identities that the target contains.

    Raises:
        UsageError: the target contains files.
        DataError: an image cannot be linked or copied.
    """
    check_output(target, overwrite=overwrite, folder=True)
    for folder in target.glob("*/"):
        if folder.name == UNLABELED or folder.name.isdecimal():
            shutil.rmtree(folder)
    for row in rows:
        number = row.pseudo_identity
        name = f"{number:05d}" if isinstance(number, int) else native(number.replace("/", "__"))
        folder = target / (UNLABELED if number == OUTLIER else name)
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / native(row.path.replace("/", "__"))
        source = (root / native(row.path)).resolve()
        try:
            if copy:
                shutil.copyfile(source, file)
            else:
                file.symlink_to(source)
        except OSError as error:
            hint = None if copy else "where links are not possible: --copy"
            raise DataError(f"`{file}`: {error.strerror or error}", hint) from error
