#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains a small GPT on the characters of a text, data parallel over gloo, and saves with torch.distributed.checkpoint.

What Tideway adds is three lines, marked (tideway): the gradients' bursts are announced to the gateway of this rank's site, so that bulk
makes room for them, and a checkpoint is handed to the gateway when DCP has finished it.

    RANK=0 WORLD_SIZE=2 train.py --meet /tmp/meet --text all.txt --log a.jsonl --save /data/runs/gpt --to wisconsin:data/runs/gpt
    RANK=1 WORLD_SIZE=2 train.py --meet /tmp/meet --text all.txt --log b.jsonl
    RANK=... train.py --meet /tmp/meet2 --text ... --log ... --resume /data/runs/gpt/step-80

The log has a JSON line per step and per save; times are of the monotonic clock.
"""
import argparse
import hashlib
import json
import os
import pathlib
import shutil
import time

import torch
import torch.distributed as dist
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from model import GPT
from tideway.adapters import dcp as tideway_dcp, ddp as tideway_ddp
from torch_support import import_dcp

dcp = import_dcp()
BATCH, CONTEXT, RATE = 4, 32, 1e-3
SEED = 7


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--meet", required=True, help="a file where the ranks find each other")
    parser.add_argument("--text", required=True, type=pathlib.Path, help="what it learns; the same for all ranks and runs")
    parser.add_argument("--log", required=True)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--training", default="gpt", help="its name on the phase board")
    parser.add_argument("--save", type=pathlib.Path, help="where this rank saves; the others save nothing")
    parser.add_argument("--to", default="wisconsin:data/runs/gpt", help="where else checkpoints shall be")
    parser.add_argument("--every", type=int, default=10, help="steps from save to save")
    parser.add_argument("--keep", type=int, default=2, help="the newest so many stay; older ones are removed")
    parser.add_argument("--resume", type=pathlib.Path, help="a checkpoint to go on from")
    return parser.parse_args()


class Text:
    def __init__(self, text):
        self.characters = sorted(set(text))
        number = {character: i for i, character in enumerate(self.characters)}
        self.tokens = torch.tensor([number[character] for character in text])

    def batch(self, step, rank):
        """A function of step and rank and nothing else, so that a run that goes on sees what the first one would have seen."""
        chance = torch.Generator().manual_seed((SEED * 1_000_003 + step) * 1_009 + rank)
        starts = torch.randint(len(self.tokens) - CONTEXT - 1, (BATCH,), generator=chance)
        rows = torch.stack([self.tokens[start:start + CONTEXT + 1] for start in starts])
        return rows[:, :-1], rows[:, 1:]


class Trainer:
    def __init__(self, chosen):
        self.chosen = chosen
        self.rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        dist.init_process_group("gloo", init_method=f"file://{chosen.meet}", rank=self.rank, world_size=world)
        self.text = Text(chosen.text.read_text(encoding="utf-8"))
        torch.manual_seed(SEED)
        self.model = DistributedDataParallel(GPT(len(self.text.characters), context=CONTEXT))
        self.model.register_comm_hook(*tideway_ddp.comm_hook(chosen.training))  # (tideway)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=RATE)
        for parameter in self.model.parameters():
            self.optimizer.state[parameter] = {"step": torch.tensor(0.0), "exp_avg": torch.zeros_like(parameter), "exp_avg_sq": torch.zeros_like(parameter)}
        self.writer = tideway_dcp.wrap_writer(dcp.FileSystemWriter, to=chosen.to)  # (tideway)
        self.saved = []

    def state(self):
        """Model and Adam as one flat dictionary of tensors, which DCP fills in place when it loads."""
        state = {}
        for name, parameter in self.model.module.named_parameters():
            state["model." + name] = parameter.detach()
            state.update((f"adam.{kind}.{name}", tensor) for kind, tensor in self.optimizer.state[parameter].items())
        return state

    def load(self, path):
        dcp.load_state_dict(self.state(), dcp.FileSystemReader(path), no_dist=True)
        return int(next(iter(self.optimizer.state.values()))["step"].item())

    def save(self, step):
        path = self.chosen.save / f"step-{step}"
        path.mkdir(parents=True)
        begin = time.monotonic()
        dcp.save_state_dict(self.state(), self.writer(path, single_file_per_rank=True), no_dist=True)  # (tideway): self.writer
        end = time.monotonic()
        files = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in path.iterdir()}
        self.saved.append(path)
        for old in self.saved[:-self.chosen.keep]:
            shutil.rmtree(old, ignore_errors=True)
        return {"saved": step, "begin": begin, "end": end, "bytes": sum(file.stat().st_size for file in path.iterdir()), "files": files}

    def step(self, step):
        begin = time.monotonic()
        tokens, following = self.text.batch(step, self.rank)
        loss = F.cross_entropy(self.model(tokens).flatten(0, 1), following.flatten())
        self.optimizer.zero_grad()
        loss.backward()  # gradients cross the network in here
        self.optimizer.step()
        return {"step": step, "begin": begin, "end": time.monotonic(), "loss": loss.item()}


def main():
    chosen = options()
    torch.set_num_threads(1)
    trainer = Trainer(chosen)
    first = trainer.load(chosen.resume) + 1 if chosen.resume else 1
    with open(chosen.log, "w", encoding="ascii", buffering=1) as log:
        for step in range(first, chosen.steps + 1):
            log.write(json.dumps(trainer.step(step)) + "\n")
            if chosen.save and step % chosen.every == 0:
                log.write(json.dumps(trainer.save(step)) + "\n")
    dist.barrier()


main()
