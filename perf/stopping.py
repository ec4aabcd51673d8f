# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and TERM end a measurement with what it has so far, and once: cleaning up is not disturbed."""
import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def raise_when_told():
    """From here on both raise KeyboardInterrupt in the main thread."""
    for number in SIGNALS:
        signal.signal(number, _stop)


def _stop(_signal, _frame):
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
