"""Signals that end a run, or make it save: noticed at once, obeyed where nothing is lost.

SIGINT, SIGTERM and SIGHUP end it: between `hold` and `release` at the next boundary, else at once.
A second one ends the process on the spot; what is on the disk is whole at every moment. Among
several processes the same signal may come twice at once, from the launcher and from whoever
signals the whole job: that counts as one. SIGUSR1
(the warning before a preemption) asks for a save, and the run goes on.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAVING = signal.SIGUSR1
ECHO = 2.0
"""Seconds in which a signal may come again from the launcher."""


class Interrupted(BaseException):
    """The run shall end because of a signal; like KeyboardInterrupt no `Exception`.

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
    """What signals have asked for since the handlers were installed.

    Args:
        with_parent: whether the run ends when the process that started this one is gone.
    """

    def __init__(self, *, with_parent: bool = False) -> None:
        self._parent = os.getppid() if with_parent else None
        self._ending, self._since = 0, 0.0
        self._saving = self._held = False

    def asked(self) -> int:
        """Return the signal that asked to end or, where there is none, to save; 0 = neither.

        Told once: a save that was asked for is then taken as done.
        """
        if self._parent is not None and os.getppid() != self._parent:
            self._ending = self._ending or signal.SIGTERM
        saving, self._saving = self._saving, False
        return self._ending or (SAVING if saving else 0)

    def hold(self) -> None:
        """Let an ending signal wait, from now on, for somebody to ask."""
        self._held = True

    def release(self) -> None:
        """Let ending signals end the run at once, from now on; also one that waits."""
        self._held = False
        if self._ending:
            raise Interrupted(self._ending)

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle signals while the block runs; one that the parent ignores (nohup) stays so."""
        before = {
            number: signal.getsignal(number)
            for number in (*ENDING, SAVING)
            if signal.getsignal(number) is not signal.SIG_IGN
        }
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
