# SPDX-License-Identifier: Apache-2.0
"""Tideway for trainers: docs/python.md. Standard library only; imports no framework.

submit(), replicate_checkpoint(), stream_checkpoint(), phase() and report_iteration() never block, and never raise once their
arguments are checked; copy(), restore(), flush() and the methods of Job and Ticket may.
"""
from .checkpoints import replicate_checkpoint
from .copying import copy
from .errors import TidewayError
from .jobs import Job
from .outbox import flush
from .phases import Phase, phase, report_iteration
from .restoring import restore
from .streams import Stream, stream_checkpoint
from .submissions import submit
from .tickets import Ticket

__all__ = ["Job", "Phase", "Stream", "Ticket", "TidewayError", "copy", "flush", "phase", "replicate_checkpoint", "report_iteration", "restore",
           "stream_checkpoint", "submit"]
