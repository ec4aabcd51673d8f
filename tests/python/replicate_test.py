#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What leaves a training when it hands over a checkpoint, with the gateway up, away, hung and refusing, against a fake one."""
import json
import logging
import os
import random
import subprocess
import sys
import threading
import time
import unittest
from datetime import datetime, timedelta, timezone

from handing import Handing, torch_file
from support import REPOSITORY, WAIT_S

import tideway
from tideway import checkpoints, inbox, notes, outbox, pins, reach, submissions
from tideway.connection import Gateway

logging.getLogger("tideway").setLevel(logging.CRITICAL)


class WithAGateway(Handing):
    def test_the_request_says_what_the_api_asks_for(self):
        gateway = self.taking_gateway()
        ticket = tideway.replicate_checkpoint(self.checkpoint(), to="wisconsin:ckpt/runs/llm7", rpo="30m", keep=3, labels={"run": "7"},
                                              deadline=datetime(2026, 11, 26, 19, 30, tzinfo=timezone(timedelta(hours=1))),
                                              pointers=["latest_checkpointed_iteration.txt"])
        self.assertTrue(ticket.wait("accepted", WAIT_S))
        self.assertEqual(gateway.wait_for("POST", "/v1/checkpoints")[0], {
            "submission_id": ticket.submission_id, "series": "runs/llm7", "step": 9000, "path": "ckpt:runs/llm7/iter_0009000",
            "pin": ticket.submission_id, "format": "auto", "to": ["wisconsin:ckpt/runs/llm7"], "rpo": "30m", "keep": 3, "deadline": "2026-11-26T18:30:00Z", "publish": "rename",
            "pointers": ["latest_checkpointed_iteration.txt"], "supersede": "latest", "labels": {"run": "7"}})
        self.assertTrue(ticket.wait("published", WAIT_S))
        self.assertEqual((ticket.state, ticket.job.id), ("published", "c1"))

    def test_a_refusal_is_told_by_the_ticket_and_its_pin_goes(self):
        gateway = self.taking_gateway()
        gateway.answers["POST /v1/checkpoints"] = lambda request, _: request.problem(403, "denied", "no grant")
        ticket = tideway.replicate_checkpoint(self.checkpoint(), to="wisconsin:ckpt/runs")
        with self.assertRaises(tideway.TidewayError) as raised:
            ticket.wait(timeout=WAIT_S)
        self.assertEqual((raised.exception.code, ticket.state, self.pinned()), ("denied", "failed", []))
        self.assertEqual(self.inbox_files(), [])

    def test_a_job_that_fails_later_is_told_by_wait(self):
        gateway = self.taking_gateway()
        gateway.jobs["c1"] = {"id": "c1", "state": "failed", "error": {"code": "hash_mismatch", "detail": "damaged"}}
        ticket = tideway.replicate_checkpoint(self.checkpoint(), to="wisconsin:ckpt/runs")
        with self.assertRaises(tideway.TidewayError) as raised:
            ticket.wait(timeout=WAIT_S)
        self.assertEqual(raised.exception.exit_code, 8)

    def test_of_several_destinations_each_has_a_job_and_all_must_be_there(self):
        gateway = self.taking_gateway()
        gateway.answers["POST /v1/checkpoints"] = lambda request, _: request.reply(202, {"id": "c1", "jobs": ["c1", "c2"], "state": "queued"})
        gateway.jobs["c2"] = {"id": "c2", "state": "running"}
        ticket = tideway.replicate_checkpoint(self.checkpoint(), to=["wisconsin:ckpt/runs", "boston:ckpt/runs"])
        self.assertTrue(ticket.wait("accepted", WAIT_S))
        self.assertFalse(ticket.wait("published", 0.05))
        gateway.jobs["c2"]["state"] = "published"
        self.assertTrue(ticket.wait("published", WAIT_S))

    def test_one_that_a_newer_one_replaced_is_superseded(self):
        gateway = self.taking_gateway()
        gateway.jobs["c1"] = {"id": "c1", "state": "cancelled", "superseded_by": "c2"}
        ticket = tideway.replicate_checkpoint(self.checkpoint(), to="wisconsin:ckpt/runs")
        self.assertFalse(ticket.wait("published", WAIT_S))
        self.assertEqual(ticket.state, "superseded")

    def test_a_checkpoint_outside_of_every_root_is_refused(self):
        self.taking_gateway()
        (self.folder / "elsewhere").mkdir()
        (self.folder / "elsewhere/model.pt").write_bytes(torch_file())
        ticket = tideway.replicate_checkpoint(self.folder / "elsewhere", to="wisconsin:ckpt/runs")
        with self.assertRaises(tideway.TidewayError) as raised:
            ticket.wait(timeout=WAIT_S)
        self.assertEqual(raised.exception.code, "usage")

    def test_where_the_gateway_knows_the_root_by_another_path_its_inbox_is_asked(self):
        gateway = self.taking_gateway()
        gateway.roots[0]["path"] = "/mnt/of-the-host"
        tickets = [tideway.replicate_checkpoint(self.checkpoint(), to="wisconsin:ckpt/runs"), tideway.submit({"sources": [self.top / "runs"], "destination": "wisconsin:ckpt/x"})]
        for ticket in tickets:
            self.assertTrue(ticket.wait("stored", WAIT_S))
        requests = [json.loads((self.top / f".tideway/inbox/{ticket.submission_id}.json").read_text()) for ticket in tickets]
        self.assertEqual((requests[0]["path"], requests[1]["sources"]), ("runs/llm7/iter_0009000", ["runs"]))
        self.assertEqual(([pin.name for pin in self.pinned()], [how for how, _, _ in gateway.asked if how == "POST"]), ([tickets[0].submission_id], []))

    def test_submit_leaves_a_job_under_the_id_it_was_given(self):
        gateway = self.taking_gateway()
        ticket = tideway.submit({"sources": [self.checkpoint()], "destination": "wisconsin:ckpt/x", "class": "staging"}, submission_id="run-7")
        self.assertTrue(ticket.wait("accepted", WAIT_S))
        self.assertEqual(gateway.wait_for("POST", "/v1/jobs")[0], {"sources": ["ckpt:runs/llm7/iter_0009000"], "destination": "wisconsin:ckpt/x",
                                                                   "class": "staging", "submission_id": "run-7"})

    def test_arguments_are_checked_at_once(self):
        for wrong in ({"to": []}, {"to": "nowhere"}, {"to": "a:b", "format": "pickle"}, {"to": "a:b", "pin": "hard"}, {"to": "a:b", "publish": "each"},
                      {"to": "a:b", "member": (1, 1)}, {"to": "a:b", "keep": 0}, {"to": "a:b", "supersede": "none"}):
            with self.assertRaises(ValueError, msg=wrong):
                tideway.replicate_checkpoint("x", **wrong)
        for wrong in ({"step": "9000"}, {"step": 1.5}, {"keep": "3"}, {"rpo": 30}, {"rpo": timedelta(minutes=30)}, {"series": 7}, {"deadline": "2026-11-26"},
                      {"deadline": datetime(2026, 11, 26).date()}, {"poniters": ["latest"]}):
            with self.assertRaises(TypeError, msg=wrong):
                tideway.replicate_checkpoint("x", "a:b", **wrong)
            with self.assertRaises(TypeError, msg=wrong):
                tideway.stream_checkpoint("x", "a:b", **wrong)
        with self.assertRaises(ValueError):
            tideway.replicate_checkpoint("x", "a:b", step=-1)
        self.assertEqual(checkpoints.checked("a:b", pointers="latest").pointers, ("latest",))
        counted = type("Counted", (), {"__index__": lambda self: 7})()  # as those of numpy are
        self.assertEqual(json.dumps(checkpoints.checked("a:b", step=counted).step), "7")
        for wrong in ({}, {"sources": "a", "destination": "b"}, {"sources": ["a"]}):
            with self.assertRaises(ValueError, msg=wrong):
                tideway.submit(wrong)
        with self.assertRaises(ValueError):
            tideway.submit({"sources": ["a"], "destination": "b"}, submission_id="../x")


class WithoutAGateway(Handing):
    def test_the_request_waits_in_the_inbox_and_the_answer_is_found_beside_it(self):
        ticket = tideway.replicate_checkpoint(self.checkpoint(), to="wisconsin:ckpt/runs/llm7")
        self.assertTrue(ticket.wait("stored", WAIT_S))
        file, = self.inbox_files()
        self.assertEqual((file.name, file.stat().st_mode & 0o777), (f"{ticket.submission_id}.json", 0o640))
        request = json.loads(file.read_text())
        self.assertEqual((request["path"], request["pin"], request["series"]), ("runs/llm7/iter_0009000", ticket.submission_id, "runs/llm7"))
        self.assertTrue(self.pinned())
        self.assertGreater(notes.counts["gateway_away"], 0)
        self.assertFalse(ticket.wait("published", 0.02))
        (self.top / f".tideway/inbox/{ticket.submission_id}.status.json").write_text('{"id": "c1"}')
        self.taking_gateway()
        self.assertTrue(ticket.wait("published", WAIT_S))

    def test_an_inbox_can_be_named(self):
        other = self.folder / "root/.tideway/inbox2"
        other.mkdir()
        self.setenv("TIDEWAY_INBOX", str(other))
        ticket = tideway.submit({"sources": ["ckpt:a"], "destination": "wisconsin:ckpt/a"})
        self.assertTrue(ticket.wait("stored", WAIT_S))
        self.assertEqual([file.name for file in other.iterdir()], [f"{ticket.submission_id}.json"])

    def test_a_gateway_that_hangs_costs_its_timeout_once_and_then_nothing(self):
        self.hung_gateway()
        self.set_constant(reach, "TIMEOUT_S", 0.05)
        self.set_constant(reach, "PAUSE_MIN_S", 60.0)
        asked, ask = [], Gateway.ask
        self.set_constant(Gateway, "ask", lambda self, *arguments: (asked.append(arguments), ask(self, *arguments))[1])
        tickets = [tideway.replicate_checkpoint(self.checkpoint(f"iter_{i:07}"), to="wisconsin:ckpt/runs") for i in range(20)]
        self.assertTrue(all(ticket.wait("stored", WAIT_S) for ticket in tickets))
        self.assertEqual((len(self.inbox_files()), len(asked)), (20, 1))

    def test_with_neither_it_stays_in_memory_until_the_gateway_is_back(self):
        subprocess.run(["rm", "-r", str(self.top / ".tideway")], check=True)
        ticket = tideway.replicate_checkpoint(self.checkpoint(), to="wisconsin:ckpt/runs")
        self.assertFalse(tideway.flush(0.05))
        self.assertEqual(ticket.state, "queued", "nobody holds it")
        self.assertGreater(notes.counts["unheld"], 0)
        (self.top / ".tideway/pins").mkdir(parents=True)
        gateway = self.taking_gateway()
        self.assertTrue(ticket.wait("accepted", WAIT_S))
        self.assertEqual(gateway.wait_for("POST", "/v1/checkpoints")[0]["pin"], ticket.submission_id)

    def test_what_is_taken_away_before_anybody_answers_is_not_sent(self):
        subprocess.run(["rm", "-r", str(self.top / ".tideway")], check=True)
        path = self.checkpoint()
        ticket = tideway.replicate_checkpoint(path, to="wisconsin:ckpt/runs")
        self.assertFalse(tideway.flush(0.05))
        (path / "__1_0.distcp").unlink()
        gateway = self.taking_gateway()
        with self.assertRaises(tideway.TidewayError) as raised:
            ticket.wait("accepted", WAIT_S)
        self.assertEqual(raised.exception.code, "source_vanished")
        self.assertNotIn("/v1/checkpoints", [path for _, path, _ in gateway.asked])

    def test_at_the_end_of_the_process_an_inbox_that_came_gets_what_is_held(self):
        subprocess.run(["rm", "-r", str(self.top / ".tideway")], check=True)
        tickets = [tideway.replicate_checkpoint(self.checkpoint(name), to="wisconsin:ckpt/runs") for name in ("iter_1", "iter_2")]
        self.assertFalse(tideway.flush(0.05))
        self.set_constant(submissions, "PAUSE_MAX_S", 60.0)
        (self.top / "runs/llm7/iter_2/__1_0.distcp").unlink()
        for folder in ("inbox", "pins"):
            (self.top / ".tideway" / folder).mkdir(parents=True)
        outbox._outbox.spill(WAIT_S)
        self.assertEqual([ticket.state for ticket in tickets], ["stored", "failed"])
        request, = (json.loads(file.read_text()) for file in self.inbox_files())
        self.assertEqual(request["pin"], tickets[0].submission_id)

    def test_a_busy_gateway_is_as_one_that_is_away(self):
        gateway = self.taking_gateway()
        gateway.answers["POST /v1/checkpoints"] = lambda request, _: request.problem(503, "overloaded")
        ticket = tideway.replicate_checkpoint(self.checkpoint(), to="wisconsin:ckpt/runs")
        self.assertTrue(ticket.wait("stored", WAIT_S))

    def test_a_request_too_large_for_an_inbox_is_not_written(self):
        with self.assertRaises(ValueError):
            inbox.write(str(self.top / ".tideway/inbox"), "x", {"labels": "x" * inbox.REQUEST_MAX})
        self.assertEqual(self.inbox_files(), [])

    def test_what_a_full_disk_takes_in_part_is_written_to_its_end_or_leaves_nothing(self):
        folder, write = self.top / ".tideway/inbox", os.write
        self.set_constant(os, "write", lambda descriptor, text: write(descriptor, bytes(text)[:7]))
        inbox.write(str(folder), "slow", {"labels": "x" * 100})
        self.assertEqual(json.loads((folder / "slow.json").read_text()), {"labels": "x" * 100})
        left = [7, 7]

        def fills_up(descriptor, text):
            if not left:
                raise OSError(28, "No space left on device")
            return write(descriptor, bytes(text)[:left.pop()])
        self.set_constant(os, "write", fills_up)
        with self.assertRaises(OSError):
            inbox.write(str(folder), "full", {"labels": "x" * 100})
        self.assertEqual([file.name for file in self.inbox_files()], ["slow.json"])

    def test_disabled_means_nothing_happens(self):
        self.setenv("TIDEWAY_DISABLE", "1")
        ticket = tideway.replicate_checkpoint(self.checkpoint(), to="wisconsin:ckpt/runs")
        self.assertFalse(ticket.wait(timeout=0))
        self.assertEqual((ticket.state, tideway.submit({"sources": ["a"], "destination": "b"}).state), ("disabled", "disabled"))
        self.assertTrue(tideway.flush(0))
        self.assertEqual(self.inbox_files(), [])


class Noted(outbox.Item):
    """An item that takes down what becomes of it, and does what a test has for a step and for its leave."""

    def __init__(self, calls, key, step=lambda: 3600.0, part=lambda: None):
        self.calls, self.key, self._step, self._part = calls, key, step, part

    def step(self):
        return self._step()

    def end(self, state, reason):
        self.calls.append((self.key, state))

    def spill(self):
        self.calls.append((self.key, "spill"))

    def part(self):
        self.calls.append((self.key, "part"))
        return self._part()


class TheQueue(Handing):
    def test_what_fails_of_itself_takes_its_leave_too_and_is_ended_once(self):
        def fail():
            raise RuntimeError("a bug of ours")
        calls = []
        outbox.put(Noted(calls, "a", step=fail, part=fail))
        self.assertTrue(tideway.flush(WAIT_S))
        self.wait_until(lambda: not outbox._outbox._entries)
        self.assertEqual(calls, [("a", "failed"), ("a", "part")])
        self.assertEqual(notes.counts.pop("internal"), 2)

    def test_at_the_end_nobody_takes_leave_before_the_others_are_on_stable_storage(self):
        calls, is_held, may_go, may_part = [], threading.Event(), threading.Event(), threading.Event()
        box = outbox._outbox
        self.addCleanup(may_part.set)

        def hold():
            is_held.set()
            may_go.wait(WAIT_S)
        for key in ["old"] + [str(i) for i in range(outbox.ITEMS_MAX - 2)]:
            box.put(Noted(calls, key, part=lambda: may_part.wait(WAIT_S) and None), delay=3600.0)
        box.put(Noted(calls, "held", step=hold))
        self.assertTrue(is_held.wait(WAIT_S))
        box.put(Noted(calls, "old"))
        self.assertEqual(calls, [("old", "superseded")])
        ended = []
        end = threading.Thread(target=lambda: ended.append(box.spill(0.5)))
        end.start()
        self.wait_until(lambda: box._spills)
        box._entries[:] = [entry for entry in box._entries if entry.in_work or entry.is_parting or entry.item.key == "old"]
        may_go.set()
        end.join(WAIT_S)
        self.assertEqual((ended, calls[1:]), ([True], [("old", "spill"), ("old", "part")]))

    def test_at_the_end_what_is_held_is_stored_before_what_has_to_be_held_first(self):
        calls, box = [], outbox._outbox
        slow, quick = Noted(calls, "slow"), Noted(calls, "quick")
        slow.spills_at_once = lambda: False
        for item in (slow, quick):
            box.put(item, delay=3600.0)
        self.assertTrue(box.spill(WAIT_S))
        self.assertEqual(calls, [("quick", "spill"), ("slow", "spill")])

    def stuck_items(self, count):
        """So many that wait for a checkpoint which never comes, each of a series of its own but the last: two are of series 7, since the
        thread may be looking at one."""
        return [tideway.replicate_checkpoint(self.top / f"none/{i}", to="a:b/c", series=str(i if i + 1 < count else 7)) for i in range(count)]

    def test_of_a_full_queue_one_of_the_same_series_makes_room(self):
        tickets = self.stuck_items(outbox.ITEMS_MAX)
        newer = tideway.replicate_checkpoint(self.top / "none/newer", to="a:b/c", series="7")
        gone, = [ticket for ticket in (tickets[7], tickets[-1]) if ticket.state == "superseded"]
        self.assertEqual((newer.state, tickets[8].state), ("queued", "queued"))
        self.assertFalse(gone.wait(timeout=0))

    def test_a_stream_that_is_open_makes_no_room(self):
        with tideway.stream_checkpoint(self.top / "none/stream", to="a:b/c", series="7") as stream:
            tickets = self.stuck_items(outbox.ITEMS_MAX - 1)
            newer = tideway.replicate_checkpoint(self.top / "none/newer", to="a:b/c", series="7")
            self.assertEqual((stream.ticket.state, newer.state), ("queued", "queued"))
            self.assertEqual([tickets[7].state, tickets[-1].state].count("superseded"), 1)

    def test_a_full_queue_of_other_series_refuses_loudly(self):
        tickets = self.stuck_items(outbox.ITEMS_MAX)
        newer = tideway.replicate_checkpoint(self.top / "none/newer", to="a:b/c", series="another")
        self.assertEqual((newer.state, notes.counts["queue_full"]), ("failed", 1))
        self.assertEqual({ticket.state for ticket in tickets}, {"queued"})
        with self.assertRaises(tideway.TidewayError) as raised:
            newer.wait(timeout=0)
        self.assertEqual(raised.exception.code, "overloaded")

    def test_what_comes_often_leaves_room_for_checkpoints(self):
        class Small(outbox.Item):
            is_small = True
            key = "small"

            def __init__(self, value):
                self.values = [value]

            def absorb(self, newer):
                self.values += newer.values

            def step(self):
                if blocked.wait(WAIT_S):
                    seen.extend(self.values)
        blocked, seen = threading.Event(), []
        for value in range(3 * outbox.ITEMS_MAX):
            outbox.put(Small(value))
        ticket = tideway.replicate_checkpoint(self.checkpoint(), to="wisconsin:ckpt/runs")
        blocked.set()
        self.assertTrue(ticket.wait("stored", WAIT_S))
        self.assertTrue(tideway.flush(WAIT_S))
        self.assertEqual(seen, list(range(3 * outbox.ITEMS_MAX)))

    def test_one_that_waits_holds_up_no_other(self):
        self.stuck_items(20)
        ticket = tideway.replicate_checkpoint(self.checkpoint(), to="wisconsin:ckpt/runs")
        self.assertTrue(ticket.wait("stored", WAIT_S))

    def test_a_forked_child_starts_with_nothing(self):
        self.stuck_items(3)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            is_empty = tideway.flush(0)
            path = self.checkpoint("iter_0000001")
            ticket = tideway.replicate_checkpoint(path, to="wisconsin:ckpt/runs")
            os.write(write, b"well" if is_empty and ticket.wait("stored", WAIT_S) else b"ill")
            os._exit(0)
        os.close(write)
        self.assertEqual(os.read(read, 10), b"well")
        os.waitpid(child, 0)
        os.close(read)
        self.assertFalse(tideway.flush(0))

    def test_the_end_of_the_process_leaves_the_rest_in_the_inbox(self):
        path = self.checkpoint()
        (path / "metadata.json").unlink()  # not complete yet: the gateway will look again
        program = (f"import tideway, tideway.outbox\ntideway.outbox.EXIT_FLUSH_S = 0.05\n"
                   f"tideway.replicate_checkpoint({str(path)!r}, to='wisconsin:ckpt/runs')\n")
        subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "PYTHONPATH": str(REPOSITORY / "python")}, timeout=WAIT_S)
        request, = self.inbox_files()
        self.assertEqual(json.loads(request.read_text())["step"], 9000)

    def test_ten_thousand_random_failures_reach_no_training(self):
        chance = random.Random(7)

        def maybe(real, trouble):
            def call(*arguments, **options):
                if chance.random() < 0.3:
                    raise trouble
                return real(*arguments, **options)
            return call
        self.taking_gateway()
        for module, name in ((reach, "PAUSE_MIN_S"), (submissions, "PAUSE_MIN_S"), (checkpoints, "LOOK_MAX_S")):
            self.set_constant(module, name, 0.001)
        self.set_constant(inbox, "write", maybe(lambda *_: None, OSError(28, "No space left on device")))
        self.set_constant(pins, "pin", maybe(lambda *_: None, OSError(1, "Operation not permitted")))
        self.set_constant(checkpoints, "look_at", maybe(checkpoints.look_at, OSError(5, "Input/output error")))
        roots = {"roots": [{"name": "ckpt", "path": str(self.top)}]}
        asked = maybe(lambda method, *_: roots if method == "GET" else {"id": "c1"}, tideway.TidewayError("daemon_unreachable", "away"))
        self.set_constant(reach.Reach, "ask", lambda self, *arguments: asked(*arguments))
        path = self.top / "model.pt"
        path.write_bytes(torch_file())
        tickets, times = [], []
        for _ in range(10_000):
            begun = time.monotonic()
            tickets.append(tideway.replicate_checkpoint(path, to="wisconsin:ckpt/runs"))
            times.append(time.monotonic() - begun)
            if len(tickets) % 20 == 0:
                tideway.flush(WAIT_S)
        self.assertTrue(tideway.flush(WAIT_S))
        self.assertLessEqual({ticket.state for ticket in tickets}, {"accepted", "stored", "superseded"})
        self.assertGreater(sum(ticket.state == "accepted" for ticket in tickets), 5_000)
        self.assertLess(sorted(times)[9_900], 0.1)  # perf/hook measures; this only shows that no call waits for a failure


if __name__ == "__main__":
    unittest.main()
