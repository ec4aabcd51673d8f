#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The adapters against the real torch of Debian 12 (1.13.1, CPU, gloo): torch.save, DCP in one process and in two, DDP, optimizers."""
import copy
import io
import json
import logging
import os
import pickle
import shutil
import subprocess
import sys
import threading
import unittest
from concurrent import futures

from support import REPOSITORY, WAIT_S, Case

try:
    import torch
except ImportError:
    print("SKIP: python3-torch is not installed: the adapters were not run against torch")
    sys.exit(77)

import tideway
from tideway import checkpoints, layouts, notes, phases
from tideway.adapters import dcp as adapter
from tideway.adapters import ddp, torch_save
from tideway.looks import look_at
from torch_support import import_dcp, tensors

logging.getLogger("tideway").setLevel(logging.CRITICAL)
TO = "wisconsin:ckpt/runs/llm7"
RANKS_S = 60.0  # two processes that import torch, on a busy machine


class Torch(Case):
    def setUp(self):
        super().setUp()
        self.top = self.root()
        self.path = self.top / "runs/llm7/step-7"
        self.path.parent.mkdir(parents=True)
        self.own_queue()
        self.set_constant(phases, "_phases", {})
        self.set_constant(checkpoints, "LOOK_MAX_S", 0.01)
        notes.counts.clear()

    def stored(self):
        return [json.loads(path.read_text()) for path in (self.top / ".tideway/inbox").glob("*.json")]

    def reason(self, path=None, **options):
        try:
            layouts.assess(*look_at(str(path or self.path)), **options)
            return "complete"
        except layouts.Incomplete as incomplete:
            return incomplete.reason


class Save(Torch):
    def test_the_file_is_whole_and_handed_over_and_nothing_else_is_left(self):
        path = self.path.parent / "model-step3.pt"
        ticket = torch_save.save(tensors(), path, TO)
        self.assertTrue(ticket.wait("stored", WAIT_S))
        self.assertTrue(all(torch.equal(value, tensors()[name]) for name, value in torch.load(path).items()))
        self.assertEqual([entry.name for entry in path.parent.iterdir()], ["model-step3.pt"])
        request, = self.stored()
        self.assertEqual((request["path"], request["step"], request["format"]), ("runs/llm7/model-step3.pt", 3, "torch"))

    def test_its_directory_is_on_stable_storage_behind_the_new_name(self):
        path, synced, sync = self.path.parent / "model-step3.pt", [], os.fsync

        def noted(descriptor):
            synced.append((os.readlink(f"/proc/self/fd/{descriptor}"), path.exists()))
            sync(descriptor)
        self.set_constant(os, "fsync", noted)
        torch_save.save(tensors(), path, TO)
        own = [(os.path.dirname(name) if name.endswith(".tmp") else name, is_there) for name, is_there in synced if ".tideway" not in name]
        self.assertEqual(own, [(str(path.parent), False), (str(path.parent), True)])

    def test_what_cannot_be_saved_leaves_the_old_file(self):
        path = self.path.parent / "model.pt"
        path.write_bytes(b"old")
        with self.assertRaises((pickle.PicklingError, AttributeError)):
            torch_save.save(lambda: 0, path, TO)
        self.assertEqual(([entry.name for entry in path.parent.iterdir()], path.read_bytes(), self.stored()), (["model.pt"], b"old", []))

    def test_a_name_without_a_step_is_told_when_it_is_saved_again_and_makes_nothing_give_way(self):
        for name, told in (("model-step3.pt", 0), ("model-step3.pt", 0), ("model.pt", 0), ("model.pt", 1)):
            self.assertTrue(torch_save.save(tensors(), self.path.parent / name, TO, step=4).wait("stored", WAIT_S))
            self.assertEqual(notes.counts["fixed_name"], told, name)
        self.assertEqual({(request["path"], request["supersede"]) for request in self.stored()},
                         {("runs/llm7/model-step3.pt", "latest"), ("runs/llm7/model.pt", "all")})

    def test_a_file_of_torch_cut_at_each_four_kibibytes_is_never_complete(self):
        held = io.BytesIO()
        torch.save(tensors(), held)
        whole = held.getvalue()
        path = self.path.parent / "model.pt"
        for length in (*range(0, len(whole), 4096), len(whole) - 1):
            path.write_bytes(whole[:length])
            self.assertEqual(self.reason(path), "cut", length)
        path.write_bytes(whole)
        self.assertEqual(self.reason(path), "complete")


class OneProcess(Torch):
    def setUp(self):
        super().setUp()
        self.dcp = import_dcp()

    def save(self, state=None, base=None, **options):
        writer = adapter.wrap_writer(base or self.dcp.FileSystemWriter, TO)(self.path, **options)
        self.dcp.save_state_dict(state or tensors(), writer, no_dist=True)
        return writer

    def test_both_layouts_of_dcp_are_handed_over_when_finish_is_through(self):
        for single in (False, True):
            with self.subTest(single_file_per_rank=single):
                writer = self.save(single_file_per_rank=single)
                self.assertTrue(writer.tideway_ticket.wait("stored", WAIT_S))
                self.assertEqual(len(list(self.path.glob("*.distcp"))), 1 if single else 4)
                self.assertEqual({(request["path"], request["format"], request["step"]) for request in self.stored()}, {("runs/llm7/step-7", "dcp", 7)})
                shutil.rmtree(self.path)
                held = self.top / ".tideway/pins" / writer.tideway_ticket.submission_id
                self.check_loads(self.dcp.FileSystemReader(held))

    def test_a_save_in_the_background_hands_over_when_it_ends_and_not_before(self):
        """As async_save() of torch 2 does it, which 1.13 lacks: a copy of the state, and save_state_dict() in a thread of its own."""
        may_end, is_writing = threading.Event(), threading.Event()

        class Slow(self.dcp.FileSystemWriter):
            def write_data(self, plan, planner):
                is_writing.set()
                may_end.wait(WAIT_S)
                return super().write_data(plan, planner)
        with futures.ThreadPoolExecutor(max_workers=1) as executor:
            saved = executor.submit(self.save, copy.deepcopy(tensors()), Slow)
            self.assertTrue(is_writing.wait(WAIT_S))
            self.assertEqual(self.stored(), [])
            may_end.set()
            ticket = saved.result(WAIT_S).tideway_ticket
        self.assertTrue(ticket.wait("stored", WAIT_S))
        self.assertEqual([request["path"] for request in self.stored()], ["runs/llm7/step-7"])

    def check_loads(self, reader):
        loaded = {name: torch.zeros_like(value) for name, value in tensors().items()}
        self.dcp.load_state_dict(loaded, reader, no_dist=True)
        self.assertTrue(all(torch.equal(value, tensors()[name]) for name, value in loaded.items()))

    def test_a_save_into_the_same_directory_that_stops_before_finish_is_no_checkpoint(self):
        self.save().tideway_ticket.wait("stored", WAIT_S)

        class Dying(self.dcp.FileSystemWriter):
            def finish(self, metadata, results):
                raise KeyboardInterrupt
        with self.assertRaises((KeyboardInterrupt, self.dcp.CheckpointException)):
            self.save(base=Dying)
        self.assertEqual((self.reason(), len(self.stored())), ("old_marker", 1))

    def test_a_clock_that_is_ahead_holds_up_no_checkpoint_and_the_next_save_ends_what_was_known(self):
        hooks = []
        self.set_constant(adapter, "hand_over", lambda path, options, hook: (hooks.append(hook), checkpoints.hand_over(path, options, hook))[1])

        class Ahead(self.dcp.FileSystemWriter):
            def write_data(self, plan, planner):
                written = super().write_data(plan, planner)
                for shard in self.path.glob("*.distcp"):
                    os.utime(shard, (4_000_000_000, 4_000_000_000))
                return written

        class Dying(self.dcp.FileSystemWriter):
            def write_data(self, plan, planner):
                raise KeyboardInterrupt
        ticket = self.save(base=Ahead).tideway_ticket
        self.assertTrue(ticket.wait("stored", WAIT_S))
        self.assertEqual((self.reason(), self.reason(self.top / ".tideway/pins" / ticket.submission_id), hooks[0].is_last()), ("old_marker", "complete", True))
        with self.assertRaises((KeyboardInterrupt, self.dcp.CheckpointException)):
            self.save(base=Dying)
        self.assertFalse(hooks[0].is_last())

    def test_a_rank_that_dies_while_it_writes_hands_over_nothing(self):
        class Dying(self.dcp.FileSystemWriter):
            def write_data(self, plan, planner):
                super().write_data(plan, planner)
                raise OSError(28, "No space left on device")
        with self.assertRaises((OSError, self.dcp.CheckpointException)):
            self.save(base=Dying)
        self.assertEqual((self.reason(), self.stored()), ("no_marker", []))

    def test_a_writer_can_be_sent_to_the_process_that_saves(self):
        writer = adapter.wrap_writer(self.dcp.FileSystemWriter, TO)(self.path)
        again = pickle.loads(pickle.dumps(writer))
        self.dcp.save_state_dict(tensors(), again, no_dist=True)
        self.assertTrue(again.tideway_ticket.wait("stored", WAIT_S))
        self.assertEqual(type(again).__name__, "TidewayFileSystemWriter")

    def test_a_trouble_of_ours_does_not_reach_the_save(self):
        self.set_constant(adapter, "hand_over", lambda *_: 1 / 0)
        writer = self.save()
        self.assertEqual((writer.tideway_ticket, self.reason(), notes.counts["adapter_dcp"]), (None, "complete", 1))

    def test_what_is_missing_is_restored_once_and_is_the_same_bit_by_bit(self):
        self.dcp.save_state_dict(tensors(), self.dcp.FileSystemWriter(self.folder / "there"), no_dist=True)
        gateway = self.gateway(self.top)
        gateway.jobs["r1"] = {"id": "r1", "state": "published"}

        def answer(request, body):
            shutil.copytree(self.folder / "there", self.path)
            request.reply(202, {"id": "r1"})
        gateway.answers["POST /v1/restore"] = answer
        reader = adapter.wrap_reader(self.dcp.FileSystemReader, "runs/llm7", step=7)
        self.check_loads(reader(self.path))
        self.check_loads(reader(self.path))
        asked, = gateway.wait_for("POST", "/v1/restore")
        self.assertEqual((asked["series"], asked["step"], asked["dst"]), ("runs/llm7", 7, "ckpt:runs/llm7/step-7"))
        self.assertEqual(sum(path == "/v1/restore" for _, path, _ in gateway.asked), 1)

    def test_nothing_to_restore_is_an_error_and_no_empty_model(self):
        gateway = self.gateway(self.top)
        gateway.answers["POST /v1/restore"] = lambda request, _: request.problem(404, "source_missing", "no such series")
        with self.assertRaises((tideway.TidewayError, self.dcp.CheckpointException)) as raised:
            self.check_loads(adapter.wrap_reader(self.dcp.FileSystemReader, "runs/none")(self.path))
        self.assertIn("no such series", repr(raised.exception) + str(raised.exception))

    def test_steps_of_an_optimizer_that_communicates_are_bursts(self):
        said = []
        announcer = tideway.phase("outer")
        announcer.begin, announcer.end = (lambda: said.append("begin")), (lambda: said.append("end"))
        weight = torch.nn.Parameter(torch.ones(3))
        optimizer = torch.optim.SGD([weight], lr=0.1)
        ddp.announce_steps(optimizer, "outer")
        torch.optim.lr_scheduler.StepLR(optimizer, 1)  # wraps step() itself, and looks at what it finds there
        weight.sum().backward()
        optimizer.step(lambda: said.append("step"))
        self.assertEqual(said, ["begin", "step", "end"])
        self.assertLess(float(weight.detach()[0]), 1.0)
        with self.assertRaises(ZeroDivisionError):
            optimizer.step(lambda: 1 / 0)
        self.assertEqual(said[3:], ["begin", "end"])

    def test_steps_of_an_optimizer_are_reported(self):
        gateway = self.gateway(self.top)
        gateway.answers["POST /v1/phase"] = lambda request, _: request.reply(204, None)
        weight = torch.nn.Parameter(torch.ones(3))
        optimizer = torch.optim.SGD([weight], lr=0.1)
        ddp.report_steps(optimizer, "llm7")
        torch.optim.lr_scheduler.StepLR(optimizer, 1)
        for _ in range(3):
            weight.sum().backward()
            optimizer.step()
        self.assertEqual([word["kind"] for word in gateway.wait_for("POST", "/v1/phase", 2)], ["iteration"] * 2)
        self.assertLess(float(weight.detach()[0]), 1.0)


class TwoProcesses(Torch):
    def run_ranks(self):
        board = self.folder / "phase.board"
        board.write_bytes(bytes(4096))
        children = [subprocess.Popen([sys.executable, str(REPOSITORY / "tests/python/torch_rank.py"), str(self.folder / "meet"), str(self.path)],
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                     env={**os.environ, "RANK": str(rank), "WORLD_SIZE": "2", "TIDEWAY_BOARD": str(board), "OMP_NUM_THREADS": "1"})
                    for rank in range(2)]
        try:
            answers = [child.communicate(timeout=RANKS_S) for child in children]
        finally:
            for child in children:
                child.kill()
        for child, (_, errors) in zip(children, answers):
            self.assertEqual(child.returncode, 0, errors)
        return [json.loads(out) for out, _ in answers]

    def test_bursts_are_announced_by_each_rank_and_the_checkpoint_by_the_coordinator(self):
        first, second = self.run_ranks()
        size = 4 * 2 * (300 * 300 + 300)
        for seen in (first, second):
            self.assertTrue(seen["equal"])
            self.assertEqual([word for word in seen["said"] if word != ["end"]], [["begin", 0], ["begin", size], ["begin", size]])
            self.assertEqual(seen["said"][-1], ["end"])
            self.assertNotIn((["end"], ["end"]), list(zip(seen["said"], seen["said"][1:])))
        self.assertEqual((first["stored"], second["has_ticket"]), (True, False))
        request, = self.stored()
        self.assertEqual((request["path"], request["format"]), ("runs/llm7/step-7", "dcp"))
        self.assertEqual({path.name[:4] for path in self.path.glob("*.distcp")}, {"__0_"} | {path.name[:4] for path in self.path.glob("__1_*")})


if __name__ == "__main__":
    unittest.main()
