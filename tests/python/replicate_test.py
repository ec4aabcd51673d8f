#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What leaves a training when it hands over a checkpoint, with the gateway up, away, hung and refusing, against a fake one."""
import ctypes
import io
import json
import logging
import os
import random
import socket
import subprocess
import sys
import threading
import time
import unittest
import zipfile
from datetime import datetime, timedelta, timezone

from support import REPOSITORY, WAIT_S, Case

import tideway
from tideway import checkpoints, departures, inbox, layouts, notes, outbox, pins, reach, submissions
from tideway.connection import Gateway

logging.getLogger("tideway").setLevel(logging.CRITICAL)


def torch_file():
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("archive/data.pkl", b"x" * 100)
    return held.getvalue()


class Handing(Case):
    def setUp(self):
        super().setUp()
        self.top = self.root()
        self.own_queue()
        self.set_constant(reach, "PAUSE_MIN_S", 0.01)
        self.set_constant(submissions, "PAUSE_MIN_S", 0.01)
        self.set_constant(checkpoints, "LOOK_MIN_S", 0.001)
        self.set_constant(tideway.tickets, "LOOK_MAX_S", 0.005)
        notes.counts.clear()
        self.addCleanup(lambda: self.assertEqual(notes.counts["internal"], 0, notes.counts))

    def checkpoint(self, name="iter_0009000", shards=2):
        path = self.top / "runs/llm7" / name
        path.mkdir(parents=True, exist_ok=True)
        for shard in range(shards):
            (path / f"__{shard}_0.distcp").write_bytes(os.urandom(3000))
        (path / "common.pt").write_bytes(torch_file())
        (path / ".metadata").write_bytes(b"m")
        (path / "metadata.json").write_text("{}")
        return path

    def taking_gateway(self):
        gateway = self.gateway(self.top)
        gateway.answers["POST /v1/checkpoints"] = lambda request, body: request.reply(202, {"id": "c1", "feasible": True})
        gateway.answers["POST /v1/jobs"] = lambda request, body: request.reply(201, {"id": "j1", "state": "queued"})
        gateway.jobs["c1"] = {"id": "c1", "state": "published"}
        return gateway

    def hung_gateway(self):
        hung = socket.socket(socket.AF_UNIX)
        self.addCleanup(hung.close)
        hung.bind(str(self.folder / "api.sock"))
        hung.listen()

    def inbox_files(self):
        return sorted((self.top / ".tideway/inbox").iterdir())

    def pinned(self):
        return sorted((self.top / ".tideway/pins").iterdir())


class BeforeItIsHeld(Handing):
    def test_a_gateway_that_comes_while_it_is_asked_refuses_nothing(self):
        comes = self

        class Line:
            roots = []
            asked = 0

            def refresh_roots(self):
                if self.asked == 0:
                    raise tideway.TidewayError("daemon_unreachable", "nobody listens")
                self.roots = [tideway.places.Root("ckpt", os.path.realpath(comes.top))]

            def ask(self, method, target):
                self.asked += 1
        (self.top / ".tideway/inbox").rmdir()
        self.assertEqual(str(submissions.certain_place(str(self.top / "runs/llm7"), Line())), "ckpt:runs/llm7")

    def test_what_was_taken_away_before_the_first_look_is_not_handed_over(self):
        path = self.checkpoint()
        ticket = tideway.Ticket("t-1")
        request = checkpoints.CheckpointRequest(ticket, str(path), checkpoints.checked("wisconsin:ckpt/runs/llm7"), checkpoints.Hook())
        request.follow()
        (path / "__0_0.distcp").unlink()  # what is left looks complete to every rule
        self.assertIsNone(request.step())
        self.assertEqual(ticket.state, "failed")
        with self.assertRaises(tideway.TidewayError) as raised:
            ticket.wait()
        self.assertEqual(raised.exception.code, "source_vanished")

    def test_what_was_taken_away_whole_is_not_waited_for(self):
        for what in ("a directory", "one file", "what was never there"):
            path = self.checkpoint() if what == "a directory" else self.top / "model.pt"
            if what == "one file":
                path.write_bytes(torch_file())
            ticket = tideway.Ticket("t-5")
            request = checkpoints.CheckpointRequest(ticket, str(path), checkpoints.checked("wisconsin:ckpt/runs/llm7"), checkpoints.Hook())
            request.follow()
            subprocess.run(["rm", "-rf", str(path)], check=True)
            pause = request.step()
            if what == "what was never there":
                self.assertEqual((ticket.state, pause is None), ("queued", False))  # it may be on its way
                continue
            self.assertEqual((ticket.state, pause), ("failed", None), what)
            with self.assertRaises(tideway.TidewayError) as raised:
                ticket.wait()
            self.assertEqual(raised.exception.code, "source_vanished")

    def test_what_comes_later_and_what_was_there_for_now_is_no_trouble(self):
        path = self.checkpoint()
        (path / "__2_0.distcp.7f3a").write_bytes(b"x")  # as a name that no list of endings knows
        (path / "lock.tmp").write_bytes(b"x")
        request = checkpoints.CheckpointRequest(tideway.Ticket("t-2"), str(path), checkpoints.checked("wisconsin:ckpt/runs/llm7"), checkpoints.Hook())
        request.follow()
        (path / "__2_0.distcp.7f3a").rename(path / "__2_0.distcp")
        (path / "lock.tmp").unlink()
        (path / "came").write_bytes(b"x")
        (path / "came").unlink()
        request.step()
        self.assertNotEqual(request.ticket.state, "failed")
        self.assertTrue((path / "__2_0.distcp").exists())

    def test_what_is_taken_away_from_below_is_noticed_from_the_first_look_on(self):
        path = self.checkpoint()
        (path / "below").mkdir()
        (path / "below/x.bin").write_bytes(b"x")
        found = departures.Departures(str(path))
        files = ["below/x.bin", "__0_0.distcp"]
        self.assertTrue(found.follow(str(path), files))
        self.assertFalse(found.follow(str(path), files))
        (path / "below/x.bin").rename(path / "below/y.bin")
        self.assertIsNone(found.missing_in(["below/y.bin"]))
        later = departures.Departures(str(path))
        (path / "below/y.bin").unlink()
        (path / "below").rmdir()
        self.assertEqual(found.missing_in(["__0_0.distcp"]), "below")
        self.assertEqual(later.missing_in(["__0_0.distcp"]), "below")
        self.assertIsNone(departures.Departures(str(path)).missing_in(["__0_0.distcp"]))

    def test_a_lookup_that_stands_still_in_the_queues_thread_stops_no_trainer(self):
        path = self.checkpoint()
        (path / "below").mkdir()
        is_there, may_go, is_free = threading.Event(), threading.Event(), threading.Event()

        class Libc:
            @staticmethod
            def inotify_add_watch(*words):
                is_there.set()
                may_go.wait()
                return departures._libc.inotify_add_watch(*words)
        self.assertNotIsInstance(departures._libc_that_waits, ctypes.PyDLL)  # which would stop the whole interpreter
        self.set_constant(departures, "_libc_that_waits", Libc)

        def another():
            one = departures.Departures(str(path))
            (path / "__0_0.distcp").unlink()
            self.assertEqual(one.missing_in([]), "__0_0.distcp")
            del one
            is_free.set()
        found = departures.Departures(str(path))
        threads = [threading.Thread(target=work, args=words, daemon=True) for work, words in ((found.follow, (str(path), ["below/x.bin"])), (another, ()))]
        threads[0].start()
        self.assertTrue(is_there.wait(WAIT_S))
        threads[1].start()
        self.assertTrue(is_free.wait(WAIT_S))
        may_go.set()
        for thread in threads:
            thread.join(WAIT_S)
        self.assertEqual((sorted(found.dirs.values()), found._notices._lookups, found._notices._idle), (["", "below/"], 0, set()))
        self.assertEqual(found.missing_in([]), "__0_0.distcp")

    def test_a_large_tree_costs_the_trainer_no_more_than_a_small_one(self):
        path = self.checkpoint()
        for i in range(5000):
            (path / f"{i}").touch()
        took = []
        for _ in range(20):
            begun = time.thread_time_ns()
            departures.Departures(str(path))
            took.append(time.thread_time_ns() - begun)
        self.assertLess(sorted(took)[10], 1_000_000)


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

    def test_the_pin_holds_what_the_trainer_deletes_at_once(self):
        self.set_constant(pins, "COPY_MAX", 1000)  # so that the shards are linked or cloned
        self.taking_gateway()
        path = self.checkpoint()
        (path / "below").mkdir()
        (path / "below/x.bin").write_bytes(torch_file())
        before = {file.relative_to(path): (file.read_bytes(), file.stat().st_mtime_ns) for file in path.rglob("*") if file.is_file()}
        ticket = tideway.replicate_checkpoint(path, to="wisconsin:ckpt/runs", step=1)
        self.assertTrue(ticket.wait("accepted", WAIT_S))
        subprocess.run(["rm", "-r", str(path)], check=True)
        held = self.pinned()[0]
        self.assertEqual(held.name, ticket.submission_id)
        self.assertEqual({file.relative_to(held): (file.read_bytes(), file.stat().st_mtime_ns) for file in held.rglob("*") if file.is_file()}, before)
        self.assertEqual(held.stat().st_mode & 0o7777, 0o2770)

    def test_links_and_empty_directories_are_held_too(self):
        self.taking_gateway()
        path = self.checkpoint()
        (path / "tokenizer/empty").mkdir(parents=True)
        (path / "bare").mkdir()
        (path / "newest.distcp").symlink_to("__1_0.distcp")
        (path / "tokenizer/up").symlink_to("../common.pt")
        (path / "into").symlink_to("tokenizer")
        ticket = tideway.replicate_checkpoint(path, to="wisconsin:ckpt/runs")
        self.assertTrue(ticket.wait("accepted", WAIT_S))
        subprocess.run(["rm", "-r", str(path)], check=True)
        held = self.pinned()[0]
        self.assertEqual({str(one.relative_to(held)): os.readlink(one) for one in held.rglob("*") if one.is_symlink()},
                         {"newest.distcp": "__1_0.distcp", "tokenizer/up": "../common.pt", "into": "tokenizer"})
        self.assertTrue((held / "tokenizer/empty").is_dir() and (held / "bare").is_dir() and (held / "newest.distcp").is_file())

    def test_a_name_that_is_a_link_means_what_it_led_to_at_the_call(self):
        self.set_constant(pins, "COPY_MAX", 10)  # so that the file is linked or cloned
        gateway = self.taking_gateway()
        (self.top / "runs/llm7").mkdir(parents=True)
        for step in (3, 4):
            (self.top / f"runs/llm7/model-step{step}.pt").write_bytes(torch_file() + bytes(step * 22) + torch_file()[-22:])
        newest = self.top / "runs/newest.pt"
        newest.symlink_to("llm7/model-step3.pt")
        request = checkpoints.CheckpointRequest(tideway.Ticket("t-4"), str(newest), checkpoints.checked("wisconsin:ckpt/runs/llm7", format="torch"), checkpoints.Hook())
        request.follow()
        newest.unlink()
        newest.symlink_to("llm7/model-step4.pt")
        self.set_constant(checkpoints, "assess", lambda *_, **__: None)
        request.step()
        asked, = gateway.wait_for("POST", "/v1/checkpoints")
        self.assertEqual((asked["path"], asked["step"], asked["series"]), ("ckpt:runs/llm7/model-step3.pt", 3, "runs/llm7"))
        held = self.pinned()[0] / "model-step3.pt"
        self.assertFalse(held.is_symlink())
        self.assertEqual(held.read_bytes(), (self.top / "runs/llm7/model-step3.pt").read_bytes())

    def test_small_files_are_copied_so_that_rewriting_them_tears_nothing(self):
        self.taking_gateway()
        path = self.checkpoint()
        ticket = tideway.replicate_checkpoint(path, to="wisconsin:ckpt/runs")
        self.assertTrue(ticket.wait("accepted", WAIT_S))
        with open(path / "metadata.json", "r+b") as file:
            file.write(b"torn")
        self.assertEqual((self.pinned()[0] / "metadata.json").read_bytes(), b"{}")

    def test_a_pin_that_cannot_be_finished_leaves_nothing(self):
        gateway = self.taking_gateway()
        self.set_constant(pins, "_hold", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        ticket = tideway.replicate_checkpoint(self.checkpoint(), to="wisconsin:ckpt/runs")
        self.assertTrue(ticket.wait("accepted", WAIT_S))
        self.assertEqual((self.pinned(), notes.counts["unpinned"]), ([], 1))
        self.assertNotIn("pin", gateway.wait_for("POST", "/v1/checkpoints")[0])

    def test_nothing_is_sent_before_the_format_says_complete(self):
        gateway = self.taking_gateway()
        path = self.checkpoint()
        (path / "metadata.json").unlink()
        looked = threading.Event()
        judge = checkpoints.assess

        def counted(*arguments, **options):
            try:
                return judge(*arguments, **options)
            except layouts.Incomplete as incomplete:
                self.assertEqual(incomplete.reason, "no_marker")
                looked.set()
                raise
        self.set_constant(checkpoints, "assess", counted)
        ticket = checkpoints.hand_over(path, checkpoints.checked("wisconsin:ckpt/runs"))
        self.assertTrue(looked.wait(WAIT_S))
        self.assertEqual((ticket.state, gateway.asked, self.pinned()), ("queued", [], []))
        whole = self.top / "metadata.json"
        whole.write_text("{}")
        whole.rename(path / "metadata.json")
        self.assertTrue(ticket.wait("accepted", WAIT_S))

    def test_what_stays_incomplete_is_told_once_and_why(self):
        self.taking_gateway()
        self.set_constant(checkpoints, "INCOMPLETE_TOLD_S", 0.01)
        self.set_constant(checkpoints, "LOOK_MAX_S", 0.01)
        path = self.checkpoint()
        (path / "metadata.json").unlink()
        with self.assertLogs("tideway", logging.WARNING) as told:
            ticket = tideway.replicate_checkpoint(path, to="wisconsin:ckpt/runs")
            self.wait_until(lambda: notes.counts["incomplete"])
        self.assertIn("metadata.json is not there yet", told.output[0])
        looks = []
        self.set_constant(checkpoints, "look_at", lambda path, look=checkpoints.look_at: (looks.append(path), look(path))[1])
        self.wait_until(lambda: len(looks) > 5)
        self.assertEqual((notes.counts["incomplete"], ticket.state), (1, "queued"))

    def test_a_checkpoint_that_changes_while_it_is_pinned_is_pinned_again(self):
        self.taking_gateway()
        path = self.checkpoint()
        hold, times = pins.pin, []

        def changing(*arguments):
            hold(*arguments)
            times.append(arguments)
            if len(times) == 1:
                (path / "late.pt").write_bytes(torch_file())
        self.set_constant(pins, "pin", changing)
        ticket = tideway.replicate_checkpoint(path, to="wisconsin:ckpt/runs")
        self.assertTrue(ticket.wait("accepted", WAIT_S))
        self.assertEqual(len(times), 2)
        self.assertTrue((self.pinned()[0] / "late.pt").is_file())

    def test_a_hook_that_comes_early_waits_until_nothing_changes(self):
        gateway = self.taking_gateway()
        ticket = checkpoints.hand_over(self.checkpoint(), checkpoints.checked("wisconsin:ckpt/runs"), checkpoints.Hook(settle=0.2))
        begun = time.monotonic()
        self.assertTrue(ticket.wait("accepted", WAIT_S))
        self.assertGreater(time.monotonic() - begun, 0.19)
        self.assertEqual(len(gateway.wait_for("POST", "/v1/checkpoints")), 1)

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
        self.assertEqual(ticket.state, "pinned")
        self.assertGreater(notes.counts["no_inbox"], 0)
        gateway = self.taking_gateway()
        self.assertTrue(ticket.wait("accepted", WAIT_S))
        self.assertNotIn("pin", gateway.wait_for("POST", "/v1/checkpoints")[0])
        self.assertEqual(notes.counts["unpinned"], 0)

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

    def stuck_items(self, count):
        """So many that wait for a checkpoint which never comes, each of a series of its own."""
        return [tideway.replicate_checkpoint(self.top / f"none/{i}", to="a:b/c", series=str(i)) for i in range(count)]

    def test_of_a_full_queue_the_oldest_of_the_same_series_makes_room(self):
        tickets = self.stuck_items(outbox.ITEMS_MAX)
        newer = tideway.replicate_checkpoint(self.top / "none/newer", to="a:b/c", series="7")
        self.assertEqual((tickets[7].state, newer.state, tickets[8].state), ("superseded", "queued", "queued"))
        self.assertFalse(tickets[7].wait(timeout=0))

    def test_a_stream_that_is_open_makes_no_room(self):
        with tideway.stream_checkpoint(self.top / "none/stream", to="a:b/c", series="7") as stream:
            tickets = self.stuck_items(outbox.ITEMS_MAX - 1)
            newer = tideway.replicate_checkpoint(self.top / "none/newer", to="a:b/c", series="7")
            self.assertEqual((stream.ticket.state, tickets[7].state, newer.state), ("queued", "superseded", "queued"))

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
        asked = maybe(lambda *_: {"id": "c1"}, tideway.TidewayError("daemon_unreachable", "away"))
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
