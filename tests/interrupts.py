"""Interrupts as a terminal sends them, also where the tests themselves run in the background."""

from __future__ import annotations

import signal


def hear_interrupts() -> None:
    """Undo what a child inherits from a shell that started the tests in the background: SIGINT ignored.

    For ``preexec_fn`` of a child that a test is going to interrupt.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
