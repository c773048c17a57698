"""A reporter for tests that records what is reported."""

from pplr_cli.progress import Silent


class Recorder(Silent):
    """Records news, and warnings as `message; hint`; `lines` has both in order."""

    def __init__(self) -> None:
        self.news: list[str] = []
        self.warnings: list[str] = []
        self.lines: list[str] = []

    def info(self, message: str) -> None:
        self.news.append(message)
        self.lines.append(message)

    def warn(self, message: str, hint: str | None = None) -> None:
        self.warnings.append(f"{message}; {hint}")
        self.lines.append(f"{message}; {hint}")
