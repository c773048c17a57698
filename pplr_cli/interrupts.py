"""Signals that end a run or make it save, handled where nothing is lost.

- SIGINT, SIGTERM and SIGHUP end the run: at the next step between `hold` and `release`, otherwise
  at once. A second one ends the process immediately; all files are complete at every moment. Each
  of several processes may get a signal twice, from the launcher and from whoever signals the whole
  job: two within `ECHO` seconds count as one.
- SIGUSR1 (the warning before a preemption) saves the state; the run continues.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAVING = signal.SIGUSR1
ECHO = 2.0


class Interrupted(BaseException):
    """A signal ended the run; like KeyboardInterrupt, not an `Exception`.

    Attributes:
        signal: which one.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)

    @property
    def exit_code(self) -> int:
        """130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP."""
        return 128 + self.signal


class Interrupts:
    """The signals that have arrived since the handlers were installed.

    Args:
        with_parent: end the run when the parent process is gone.
    """

    def __init__(self, *, with_parent: bool = False) -> None:
        self._parent = os.getppid() if with_parent else None
        self._ending, self._since = 0, 0.0
        self._saving = self._held = False

    def asked(self) -> int:
        """Return the signal that ends the run, else `SAVING` if a save was asked for, else 0.

        A save is returned once: the caller carries it out.
        """
        if self._parent is not None and os.getppid() != self._parent:
            self._ending = self._ending or signal.SIGTERM
        saving, self._saving = self._saving, False
        return self._ending or (SAVING if saving else 0)

    def hold(self) -> None:
        """From now on, keep an ending signal until `asked` is called."""
        self._held = True

    def release(self) -> None:
        """From now on, end the run at once on a signal; also on one that was kept."""
        self._held = False
        if self._ending:
            raise Interrupted(self._ending)

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle signals while the block runs, except those that the parent ignores (nohup).

        Does nothing outside the main thread, where Python allows no handlers.
        """
        main = threading.current_thread() is threading.main_thread()
        before = {number: signal.getsignal(number) for number in (*ENDING, SAVING) if main}
        before = {each: old for each, old in before.items() if old is not signal.SIG_IGN}
        for number in before:
            signal.signal(number, self._save if number == SAVING else self._end)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _save(self, _: int, __: FrameType | None) -> None:
        self._saving = True

    def _end(self, number: int, _: FrameType | None) -> None:
        if self._ending:
            echo = self._parent is not None and time.monotonic() - self._since < ECHO
            if not echo:
                os._exit(128 + number)
            return
        self._ending, self._since = number, time.monotonic()
        if not self._held:
            raise Interrupted(number)
