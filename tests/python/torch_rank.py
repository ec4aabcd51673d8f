#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One of two ranks over gloo: trains a little with the DDP hook, saves with the wrapped DCP writer, prints what it saw as JSON.

Arguments: where the ranks meet (a file), the checkpoint. RANK and WORLD_SIZE are in the environment, as torchrun sets them.
"""
import json
import os
import sys
import time

import support  # noqa: F401: finds the package

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

import tideway
from tideway.adapters import dcp as adapter, ddp
from torch_support import import_dcp

ITERATIONS = 3


def main():
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    dist.init_process_group("gloo", init_method=f"file://{sys.argv[1]}", rank=rank, world_size=world)
    said = []
    announcer = tideway.phase("llm7")
    begin, end = announcer.begin, announcer.end
    announcer.begin = lambda size=0: (said.append(["begin", size]), begin(size))
    announcer.end = lambda: (said.append(["end"]), end())
    torch.manual_seed(7)
    model = torch.nn.Sequential(torch.nn.Linear(300, 300), torch.nn.Linear(300, 300))
    model = DistributedDataParallel(model, bucket_cap_mb=0.2)  # several buckets
    model.register_comm_hook(*ddp.comm_hook("llm7"))
    torch.manual_seed(rank)
    for _ in range(ITERATIONS):
        model.zero_grad()
        model(torch.randn(8, 300)).square().sum().backward()
    ends = time.monotonic() + support.WAIT_S
    while said[-1] != ["end"] and time.monotonic() < ends:  # another thread tells it
        time.sleep(0.001)
    gradient = next(model.parameters()).grad
    gathered = [torch.empty_like(gradient) for _ in range(world)]
    dist.all_gather(gathered, gradient)
    dcp = import_dcp()
    writer = adapter.wrap_writer(dcp.FileSystemWriter, "wisconsin:ckpt/runs/llm7")(sys.argv[2])
    dcp.save_state_dict(model.module.state_dict(), writer)
    print(json.dumps({"said": said, "equal": all(torch.equal(gathered[0], other) for other in gathered), "has_ticket": hasattr(writer, "tideway_ticket"),
                      "stored": hasattr(writer, "tideway_ticket") and writer.tideway_ticket.wait("stored", support.WAIT_S)}))


main()
