#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From the call that hands a checkpoint over to the moment it is held: when it is looked at, what may leave meanwhile, and what a pin keeps."""
import ctypes
import logging
import os
import subprocess
import threading
import time
import unittest

from handing import Handing, torch_file
from support import WAIT_S

import tideway
from tideway import checkpoints, departures, layouts, notes, pins, submissions
from tideway.looks import look_at

logging.getLogger("tideway").setLevel(logging.CRITICAL)


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


class Held(Handing):
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

    def test_directories_arrive_as_they_were_and_let_the_gateways_group_in(self):
        self.taking_gateway()
        path = self.checkpoint()
        (path / "tokenizer/empty").mkdir(parents=True)
        (path / "tokenizer/x.bin").write_bytes(b"x")
        expected = {}
        for moment, (name, mode) in enumerate((("tokenizer/empty", 0o705), ("tokenizer", 0o750), ("", 0o755)), 1):
            os.chmod(path / name, mode)
            os.utime(path / name, (moment, moment))
            expected[name] = (mode | 0o2770, moment)
        ticket = tideway.replicate_checkpoint(path, to="wisconsin:ckpt/runs")
        self.assertTrue(ticket.wait("accepted", WAIT_S))
        held = self.pinned()[0]
        self.assertEqual({name: ((held / name).stat().st_mode & 0o7777, (held / name).stat().st_mtime) for name in expected}, expected)

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

    def test_what_never_stands_still_is_given_up(self):
        self.taking_gateway()
        self.set_constant(checkpoints, "INCOMPLETE_MAX_S", 0.1)
        path = self.checkpoint()
        hold = pins.pin

        def changing(*arguments):
            hold(*arguments)
            with open(path / "log.txt", "a") as log:
                log.write("x")
        self.set_constant(pins, "pin", changing)
        ticket = tideway.replicate_checkpoint(path, to="wisconsin:ckpt/runs")
        with self.assertRaisesRegex(tideway.TidewayError, "goes on changing"):
            ticket.wait(timeout=WAIT_S)
        self.assertEqual(self.pinned(), [])

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

    def ahead(self):
        """A checkpoint of which one shard was written by a host whose clock is an hour ahead."""
        path = self.checkpoint("step-7")
        ahead = (path / ".metadata").stat().st_mtime_ns + 3600 * 10**9
        os.utime(path / "__1_0.distcp", ns=(ahead, ahead))
        return path, ahead

    def test_where_the_adapter_saw_the_marker_come_last_no_clock_is_asked(self):
        self.set_constant(pins, "COPY_MAX", 0)  # so that a marker would be linked or cloned, as a large one is
        gateway = self.taking_gateway()
        path, ahead = self.ahead()
        before = (path / ".metadata").stat()
        ticket = checkpoints.hand_over(path, checkpoints.checked("wisconsin:ckpt/runs", format="dcp"), checkpoints.Hook(is_last=lambda: True))
        self.assertTrue(ticket.wait("accepted", WAIT_S))
        held, = self.pinned()
        self.assertEqual((gateway.wait_for("POST", "/v1/checkpoints")[0]["pin"], layouts.assess(*look_at(str(held)), "dcp").format), (held.name, "dcp"))
        self.assertEqual([(held / name).stat().st_mtime_ns for name in (".metadata", "__1_0.distcp")], [ahead, ahead])
        after = (path / ".metadata").stat()
        self.assertEqual((after.st_mtime_ns, after.st_nlink), (before.st_mtime_ns, 1))

    def test_where_a_save_begins_before_it_is_held_the_times_count(self):
        hold = pins.pin
        for when in ("before the look", "while it is pinned"):
            with self.subTest(when):
                path, _ = self.ahead()
                begun = when == "before the look"
                pinned = []

                def pin(*arguments):
                    nonlocal begun
                    hold(*arguments)
                    pinned.append(arguments)
                    begun = True
                self.set_constant(pins, "pin", pin)
                request = checkpoints.CheckpointRequest(tideway.Ticket("t-6"), str(path), checkpoints.checked("wisconsin:ckpt/runs", format="dcp"),
                                                        checkpoints.Hook(is_last=lambda: not begun))
                request.follow()
                for _ in range(2):
                    self.assertIsNotNone(request.step())
                self.assertEqual((request.ticket.state, len(pinned), self.pinned()), ("queued", int(when != "before the look"), []))

    def test_a_hook_that_comes_early_waits_until_nothing_changes(self):
        gateway = self.taking_gateway()
        ticket = checkpoints.hand_over(self.checkpoint(), checkpoints.checked("wisconsin:ckpt/runs"), checkpoints.Hook(settle=0.2))
        begun = time.monotonic()
        self.assertTrue(ticket.wait("accepted", WAIT_S))
        self.assertGreater(time.monotonic() - begun, 0.19)
        self.assertEqual(len(gateway.wait_for("POST", "/v1/checkpoints")), 1)


if __name__ == "__main__":
    unittest.main()
