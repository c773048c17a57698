"""The copy of what a run reports."""

from pathlib import Path

from pplr_cli.session.log import RunLog
from tests.shared_reporter import Recorder


def test_everything_is_passed_on_and_copied_while_the_log_is_open(tmp_path: Path) -> None:
    listener, path = Recorder(), tmp_path / "log.txt"
    log = RunLog(listener)
    log.info("before")
    for _ in range(2):
        with log.open(path):
            log.info("i")
            log.detail("\x1b[31m \udcff")
            log.warn("w", "h")
            log.write("only here")
        log.info("after")
    copied = ["i", "\\x1b[31m \\udcff", "warning: w", "hint: h", "only here"]
    assert path.read_text().splitlines() == copied * 2
    assert listener.warnings == ["w; h"] * 2


def test_a_log_that_cannot_be_written_is_reported_once(tmp_path: Path) -> None:
    listener = Recorder()
    log = RunLog(listener)
    with log.open(Path("/dev/full")):
        log.info("one")
        log.info("two")
    assert listener.warnings == ["the log ends here: No space left on device; training continues"]
