# SPDX-License-Identifier: Apache-2.0
"""Imports the DCP of Debian's torch 1.13.1.

That release was made before Python 3.11, whose dataclasses refuse its TensorProperties as a default value because it has no hash. So
it is imported with dataclasses that give one. Nothing else of torch is changed.
"""
import dataclasses

import torch


def import_dcp():
    real = dataclasses.dataclass

    def with_hash(cls=None, **options):
        if cls is not None and not options and "__hash__" not in cls.__dict__:
            options["unsafe_hash"] = True
        return real(cls, **options)
    dataclasses.dataclass = with_hash
    try:
        import torch.distributed._shard.checkpoint as dcp
    except ImportError:
        import torch.distributed.checkpoint as dcp  # torch 2
    finally:
        dataclasses.dataclass = real
    return dcp


def tensors(seed=7):
    torch.manual_seed(seed)
    return {f"layer{i}.weight": torch.randn(64, 100) for i in range(4)}
