"""What signals ask for, and when they are obeyed."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pplr_cli.interrupts import ENDING, SAVING, Interrupted, Interrupts

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


def test_nothing_is_asked_at_first() -> None:
    assert Interrupts().asked() == 0


@pytest.mark.parametrize("number", ENDING)
def test_an_ending_signal_is_obeyed_at_once_unless_held(number: signal.Signals) -> None:
    interrupts = Interrupts()
    with interrupts.handled(), pytest.raises(Interrupted) as caught:
        signal.raise_signal(number)
    assert caught.value.signal == number
    assert caught.value.exit_code == CODES[number]


@pytest.mark.parametrize("number", ENDING)
def test_a_held_signal_waits_until_it_is_asked_for(number: signal.Signals) -> None:
    interrupts = Interrupts()
    with interrupts.handled():
        interrupts.hold()
        signal.raise_signal(number)
        assert interrupts.asked() == number
        assert interrupts.asked() == number
        with pytest.raises(Interrupted):
            interrupts.release()


def test_after_a_release_signals_are_obeyed_at_once_again() -> None:
    interrupts = Interrupts()
    with interrupts.handled():
        interrupts.hold()
        interrupts.release()
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGTERM)


def test_a_save_is_asked_for_once_and_ends_nothing() -> None:
    interrupts = Interrupts()
    with interrupts.handled():
        signal.raise_signal(SAVING)
        assert interrupts.asked() == SAVING
        assert interrupts.asked() == 0


def test_an_ending_signal_counts_more_than_a_save() -> None:
    interrupts = Interrupts()
    with interrupts.handled():
        interrupts.hold()
        signal.raise_signal(SAVING)
        signal.raise_signal(signal.SIGTERM)
        assert interrupts.asked() == signal.SIGTERM


def test_the_handlers_before_come_back() -> None:
    before = [signal.getsignal(number) for number in (*ENDING, SAVING)]
    with Interrupts().handled():
        assert signal.getsignal(signal.SIGINT) not in before
    assert [signal.getsignal(number) for number in (*ENDING, SAVING)] == before


@pytest.mark.parametrize("number", [*ENDING, SAVING])
def test_what_the_parent_ignores_stays_ignored(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    interrupts = Interrupts()
    try:
        with interrupts.handled():
            signal.raise_signal(number)
            assert signal.getsignal(number) is signal.SIG_IGN
        assert interrupts.asked() == 0
    finally:
        signal.signal(number, before)


def python(program: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize(("first", "second"), [("INT", "INT"), ("INT", "TERM"), ("TERM", "HUP")])
def test_a_second_signal_ends_the_process_on_the_spot(first: str, second: str) -> None:
    done = python(
        "import signal\n"
        "from pplr_cli.interrupts import Interrupts\n"
        "interrupts = Interrupts()\n"
        "with interrupts.handled():\n"
        "    interrupts.hold()\n"
        f"    signal.raise_signal(signal.SIG{first})\n"
        "    print('waits', flush=True)\n"
        f"    signal.raise_signal(signal.SIG{second})\n"
        "    print('never')\n"
    )
    assert done.returncode == CODES[signal.Signals[f"SIG{second}"]]
    assert (done.stdout, done.stderr) == ("waits\n", "")


def test_the_run_ends_with_its_parent() -> None:
    done = python(
        "import os, signal, time\n"
        "from pplr_cli.interrupts import Interrupts\n"
        "reading, writing = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    if os.fork() == 0:\n"
        "        interrupts = Interrupts(with_parent=True)\n"
        "        before = interrupts.asked()\n"
        "        os.write(writing, b'.')\n"
        "        while not interrupts.asked():\n"
        "            time.sleep(0.01)\n"
        "        print(before, interrupts.asked() == signal.SIGTERM, flush=True)\n"
        "        os._exit(0)\n"
        "    os.read(reading, 1)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )
    assert done.stdout == "0 True\n", done.stderr


def test_a_signal_that_the_launcher_repeats_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupts = Interrupts(with_parent=True)
    with interrupts.handled():
        interrupts.hold()
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)  # had it ended the process, no test would be left
        assert interrupts.asked() == signal.SIGTERM
        monkeypatch.setattr("os._exit", lambda code: (_ for _ in ()).throw(SystemExit(code)))
        monkeypatch.setattr("pplr_cli.interrupts.ECHO", 0.0)
        with pytest.raises(SystemExit):
            signal.raise_signal(signal.SIGTERM)


def test_in_another_thread_signals_are_left_alone() -> None:
    """Where Python allows no handlers: a run that is started there trains without them."""

    def handle() -> None:
        with Interrupts().handled():
            handlers.append(signal.getsignal(signal.SIGTERM))

    handlers: list[object] = []
    thread = threading.Thread(target=handle)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGTERM)]
