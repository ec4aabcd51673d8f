# SPDX-License-Identifier: Apache-2.0
"""Tideway for trainers: docs/python.md. Standard library only; imports no framework."""
from .copying import copy
from .errors import TidewayError
from .jobs import Job

__all__ = ["Job", "TidewayError", "copy"]
