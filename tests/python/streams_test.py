#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that are sent while they are written, restoring, and the calls for shells, against a fake gateway."""
import contextlib
import io
import json
import logging
import os
import subprocess
import sys
import threading
import time
import unittest

from support import REPOSITORY, WAIT_S, Case

import tideway
from tideway import notes, outbox, reach, restoring, streams, submissions
from tideway.__main__ import main

logging.getLogger("tideway").setLevel(logging.CRITICAL)


class Growing(Case):
    def setUp(self):
        super().setUp()
        self.top = self.root()
        self.own_queue()
        self.set_constant(submissions, "PAUSE_MIN_S", 0.01)
        self.set_constant(streams, "RETRY_S", 0.01)
        self.set_constant(reach, "PAUSE_MIN_S", 0.01)
        notes.counts.clear()
        self.addCleanup(lambda: self.assertEqual(notes.counts["internal"], 0, notes.counts))
        self.path = self.top / "run/step-7"
        self.path.mkdir(parents=True)

    def write(self):
        (self.path / "__0_0.distcp").write_bytes(b"x" * 3000)
        (self.path / ".metadata").write_bytes(b"m")

    def streaming_gateway(self):
        gateway = self.gateway(self.top)
        gateway.answers["POST /v1/checkpoints"] = lambda request, body: request.reply(202, {"id": "g1" if body.get("growing") else "c1"})
        for verb in ("ranges", "complete", "abort"):
            gateway.answers[f"POST /v1/checkpoints/g1/{verb}"] = lambda request, body: request.reply(202, {})
        return gateway


class Streams(Growing):
    def test_ranges_arrive_in_order_and_the_end_of_the_block_completes_it_with_a_pin(self):
        gateway = self.streaming_gateway()
        with tideway.stream_checkpoint(self.path, "wisconsin:ckpt/run") as stream:
            opened, = gateway.wait_for("POST", "/v1/checkpoints")
            stream.declare(self.path / "__0_0.distcp", 0, 1000)
            gateway.wait_for("POST", "/v1/checkpoints/g1/ranges")
            stream.declare("__0_0.distcp", 1000, 2000)
            self.write()
        self.assertTrue(stream.ticket.wait("accepted", WAIT_S))
        name = stream.ticket.submission_id
        self.assertEqual((opened["growing"], opened["submission_id"], opened["path"], opened["step"]), (True, f"{name}-growing", "ckpt:run/step-7", 7))
        self.assertEqual(gateway.wait_for("POST", "/v1/checkpoints/g1/ranges", 2),
                         [{"path": "__0_0.distcp", "offset": 0, "length": 1000}, {"path": "__0_0.distcp", "offset": 1000, "length": 2000}])
        self.assertEqual(gateway.wait_for("POST", "/v1/checkpoints/g1/complete"), [{"pin": name}])
        self.assertTrue((self.top / ".tideway/pins" / name / ".metadata").is_file())
        self.assertEqual(stream.ticket.job.id, "g1")

    def test_each_destination_has_its_job_and_one_that_was_torn_behind_the_end_is_abandoned(self):
        gateway = self.streaming_gateway()
        gateway.answers["POST /v1/checkpoints"] = lambda request, body: request.reply(202, {"id": "g1", "jobs": ["g1", "g2"]})
        with tideway.stream_checkpoint(self.path, ["wisconsin:ckpt/run", "oslo:ckpt/run"]) as stream:
            gateway.wait_for("POST", "/v1/checkpoints")
            self.write()
        self.assertTrue(stream.ticket.wait("accepted", WAIT_S))
        self.assertEqual([job.id for job in stream.ticket._jobs], ["g1", "g2"])
        with tideway.stream_checkpoint(self.path, "wisconsin:ckpt/run") as stream:
            gateway.wait_for("POST", "/v1/checkpoints", 2)
            (self.path / ".metadata").unlink()  # it is not complete before it is there again
        (self.path / "__0_0.distcp").unlink()
        gateway.wait_for("POST", "/v1/checkpoints/g1/abort")
        with self.assertRaises(tideway.TidewayError) as raised:
            stream.ticket.wait(timeout=WAIT_S)
        self.assertEqual(raised.exception.code, "source_vanished")

    def test_an_exception_aborts_it_and_passes(self):
        gateway = self.streaming_gateway()
        with self.assertRaises(KeyError):
            with tideway.stream_checkpoint(self.path, "wisconsin:ckpt/run") as stream:
                gateway.wait_for("POST", "/v1/checkpoints")
                raise KeyError("disk")
        gateway.wait_for("POST", "/v1/checkpoints/g1/abort")
        with self.assertRaises(tideway.TidewayError) as raised:
            stream.ticket.wait(timeout=WAIT_S)
        self.assertEqual(raised.exception.code, "cancelled")

    def pushed_out(self):
        """The ticket of a stream that has ended, is not complete, and makes room for a newer checkpoint of its series."""
        with tideway.stream_checkpoint(self.path, "wisconsin:ckpt/run", series="run") as stream:
            self.wait_until(lambda: stream._request._id == "g1")
        for i in range(outbox.ITEMS_MAX - 1):
            tideway.replicate_checkpoint(self.top / f"none/{i}", to="a:b/c", series=str(i))
        # What the thread has in its hands just now makes no room.
        self.wait_until(lambda: tideway.replicate_checkpoint(self.top / "run/step-8", to="wisconsin:ckpt/run", series="run").state == "queued")
        self.assertEqual(stream.ticket.state, "superseded")
        self.assertGreaterEqual(notes.counts["queue_full"], 1)
        return stream.ticket

    def test_one_that_is_pushed_out_of_a_full_queue_is_told_to_the_gateway(self):
        gateway = self.streaming_gateway()
        self.pushed_out()
        gateway.wait_for("POST", "/v1/checkpoints/g1/abort")
        self.wait_until(lambda: not any(entry.is_parting for entry in outbox._outbox._entries))

    def test_it_is_told_again_until_the_gateway_hears_it_and_keeps_nobody_waiting(self):
        gateway = self.streaming_gateway()
        hears = threading.Event()
        gateway.answers["POST /v1/checkpoints/g1/abort"] = lambda request, body: request.reply(202, {}) if hears.is_set() else request.problem(503, "store_unavailable")
        self.pushed_out()
        gateway.wait_for("POST", "/v1/checkpoints/g1/abort", 3)
        self.assertTrue(any(entry.is_parting for entry in outbox._outbox._entries))
        hears.set()
        self.wait_until(lambda: not any(entry.is_parting for entry in outbox._outbox._entries))
        self.assertEqual(notes.counts["stream_unsaid"], 0)

    def test_what_the_gateway_never_hears_is_given_up_loudly(self):
        self.set_constant(streams, "PART_MAX_S", 0.05)
        gateway = self.streaming_gateway()
        gateway.answers["POST /v1/checkpoints/g1/abort"] = lambda request, body: request.problem(503, "store_unavailable")
        self.pushed_out()
        self.wait_until(lambda: notes.counts["stream_unsaid"] == 1)
        self.wait_until(lambda: not any(entry.is_parting for entry in outbox._outbox._entries))

    def test_one_whose_end_the_gateway_did_not_take_is_told_to_it_too(self):
        gateway = self.streaming_gateway()
        gateway.answers["POST /v1/checkpoints"] = lambda request, body: request.reply(202, {"id": "g1"}) if body.get("growing") else request.problem(503, "overloaded")
        gateway.answers["POST /v1/checkpoints/g1/complete"] = lambda request, body: request.problem(503, "store_unavailable")
        os.rmdir(self.top / ".tideway/inbox")
        with tideway.stream_checkpoint(self.path, "wisconsin:ckpt/run", series="run") as stream:
            gateway.wait_for("POST", "/v1/checkpoints")
            self.write()
        gateway.wait_for("POST", "/v1/checkpoints/g1/complete")
        for i in range(outbox.ITEMS_MAX - 1):
            tideway.replicate_checkpoint(self.top / f"none/{i}", to="a:b/c", series=str(i))

        def is_superseded():  # not while it is in work
            if stream.ticket.state != "superseded":
                tideway.replicate_checkpoint(self.top / "run/step-8", to="wisconsin:ckpt/run", series="run")
            return stream.ticket.state == "superseded"
        self.wait_until(is_superseded)
        gateway.wait_for("POST", "/v1/checkpoints/g1/abort")
        self.wait_until(lambda: not os.listdir(self.top / ".tideway/pins"))

    def test_a_gateway_that_knows_no_streams_gets_it_whole(self):
        gateway = self.gateway(self.top)

        def answer(request, body):
            return request.problem(400, "unsupported") if body.get("growing") else request.reply(202, {"id": "c1"})
        gateway.answers["POST /v1/checkpoints"] = answer
        with tideway.stream_checkpoint(self.path, "wisconsin:ckpt/run") as stream:
            gateway.wait_for("POST", "/v1/checkpoints")
            stream.declare("__0_0.distcp", 0, 1000)
            self.write()
        self.assertTrue(stream.ticket.wait("accepted", WAIT_S))
        whole = gateway.wait_for("POST", "/v1/checkpoints", 2)[1]
        self.assertEqual((whole["submission_id"], whole["pin"]), (stream.ticket.submission_id,) * 2)
        self.assertNotIn("growing", whole)

    def test_without_a_gateway_it_goes_to_the_inbox_when_it_is_complete(self):
        with tideway.stream_checkpoint(self.path, "wisconsin:ckpt/run") as stream:
            stream.declare("__0_0.distcp", 0, 1000)
            self.write()
        self.assertTrue(stream.ticket.wait("stored", WAIT_S))
        request, = (self.top / ".tideway/inbox").iterdir()
        self.assertEqual(json.loads(request.read_text())["path"], "run/step-7")

    def test_a_gateway_that_is_gone_at_the_end_leaves_it_to_the_inbox(self):
        gateway = self.streaming_gateway()
        gateway.answers["POST /v1/checkpoints/g1/complete"] = lambda request, body: request.problem(503, "store_unavailable")
        gateway.answers["POST /v1/checkpoints"] = lambda request, body: (request.reply(202, {"id": "g1"}) if body.get("growing") else
                                                                         request.problem(503, "store_unavailable"))
        with tideway.stream_checkpoint(self.path, "wisconsin:ckpt/run") as stream:
            gateway.wait_for("POST", "/v1/checkpoints")
            self.write()
        self.assertTrue(stream.ticket.wait("stored", WAIT_S))

    def test_neighbours_are_one_range_and_too_many_are_left_to_the_end(self):
        stream = tideway.stream_checkpoint(self.path, "wisconsin:ckpt/run")  # nobody takes it
        for i in range(10):
            stream.declare("a", i * 10, 10)
        self.assertEqual([(one.offset, one.length) for one in stream._request.ranges], [(0, 10), (10, 90)])
        for i in range(2 * streams.RANGES_MAX):
            stream.declare("b", i * 10, 5)
        self.assertEqual(len(stream._request.ranges), streams.RANGES_MAX)
        self.assertGreater(notes.counts["ranges"], 0)
        for offset, length in ((-1, 5), (0, 0)):
            with self.assertRaises(ValueError):
                stream.declare("a", offset, length)

    def test_nobody_waits_for_a_stream_that_is_open_but_for_what_lies_beside_it(self):
        with tideway.stream_checkpoint(self.path, "wisconsin:ckpt/run") as stream:
            self.assertTrue(tideway.flush(10 * WAIT_S))
            waits = tideway.submit({"sources": ["data:a"], "destination": "wisconsin:data/a"})
            self.assertFalse(tideway.flush(0.05))
            gateway = self.streaming_gateway()
            gateway.answers["POST /v1/jobs"] = lambda request, body: request.reply(201, {"id": "j1", "state": "queued"})
            begun = time.monotonic()
            self.assertTrue(tideway.flush(10 * WAIT_S))
            self.assertEqual((waits.state, stream.ticket.state), ("accepted", "queued"))
            self.write()
        self.assertTrue(tideway.flush(10 * WAIT_S))
        self.assertEqual(stream.ticket.state, "accepted")
        self.assertLess(time.monotonic() - begun, 2 * WAIT_S)

    def test_a_process_that_ends_within_a_block_waits_for_nothing_and_tells_that_it_was_torn(self):
        program = (f"import logging, tideway\nlogging.basicConfig(level='ERROR')\nstream = tideway.stream_checkpoint({str(self.path)!r}, 'wisconsin:ckpt/run')\n"
                   "import atexit, tideway.outbox\natexit.unregister(tideway.outbox._at_exit)\ntideway.outbox._at_exit()\nprint(stream.ticket.state)")
        begun = time.monotonic()
        said = subprocess.run([sys.executable, "-c", f"import tideway.outbox\ntideway.outbox.EXIT_FLUSH_S = {10 * WAIT_S}\n" + program], check=True, text=True,
                              stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(REPOSITORY / "python")}, timeout=20 * WAIT_S)
        self.assertEqual(said.stdout, "failed\n")
        self.assertLess(time.monotonic() - begun, 9 * WAIT_S)

    def test_disabled_streams_do_nothing(self):
        self.setenv("TIDEWAY_DISABLE", "1")
        with tideway.stream_checkpoint(self.path, "wisconsin:ckpt/run") as stream:
            stream.declare("a", 0, 1)
        self.assertEqual(stream.ticket.state, "disabled")


class Restore(Growing):
    def setUp(self):
        super().setUp()
        self.fake = self.gateway(self.top)
        self.fake.answers["POST /v1/restore"] = lambda request, body: request.reply(202, {"id": "r1"})
        self.fake.jobs["r1"] = {"id": "r1", "state": "published"}

    def test_it_asks_for_the_newest_and_returns_where_it_is(self):
        found = tideway.restore("llm7", self.top / "back")
        self.assertEqual(found, self.top / "back")
        self.assertEqual(self.fake.wait_for("POST", "/v1/restore"),
                         [{"series": "llm7", "step": "latest", "dst": "ckpt:back", "include": ["**"], "fallback": False, "patience": "command"}])

    def test_a_place_of_the_api_comes_back_as_a_path(self):
        self.assertEqual(tideway.restore("llm7", "ckpt:back", step=7, include=["*.safetensors"], fallback=True), self.top / "back")
        asked, = self.fake.wait_for("POST", "/v1/restore")
        self.assertEqual((asked["step"], asked["include"], asked["fallback"]), (7, ["*.safetensors"], True))

    def test_a_run_of_any_peer_can_be_asked_for(self):
        tideway.restore("any:ckpt/runs/llm7", "ckpt:back")
        asked, = self.fake.wait_for("POST", "/v1/restore")
        self.assertEqual((asked["from"], asked.get("series")), ("any:ckpt/runs/llm7", None))

    def answer_in_the_inbox(self, text):
        """As a gateway that knows the root by another path. What it was asked comes into the list that this gives."""
        self.fake.roots[0]["path"] = "/elsewhere"
        inbox, asked = self.top / ".tideway/inbox", []

        def look():
            self.wait_until(lambda: any(inbox.glob("*.json")))
            request, = inbox.glob("*.json")
            asked.append(json.loads(request.read_bytes()))
            (inbox / "draft").write_text(text)
            os.rename(inbox / "draft", request.with_suffix(".status.json"))
        thread = threading.Thread(target=look)
        thread.start()
        self.addCleanup(thread.join)
        return asked

    def test_where_the_gateway_has_another_path_the_inbox_says_which_root_is_meant(self):
        asked = self.answer_in_the_inbox('{"id": "r1"}')
        self.assertEqual(tideway.restore("llm7", self.top / "runs/back", step=7, timeout=WAIT_S), self.top / "runs/back")
        self.assertTrue(asked[0].pop("submission_id"))
        self.assertEqual(asked, [{"series": "llm7", "step": 7, "dst": "runs/back", "include": ["**"], "fallback": False, "patience": "command"}])
        self.assertFalse(any(path == "/v1/restore" for _, path, _ in self.fake.asked))

    def test_what_the_gateway_refuses_in_its_inbox_is_an_exception(self):
        self.answer_in_the_inbox('{"code": "source_missing", "detail": "no such series", "next": ""}')
        with self.assertRaises(tideway.TidewayError) as raised:
            tideway.restore("llm7", self.top / "back", timeout=WAIT_S)
        self.assertEqual(raised.exception.code, "source_missing")

    def test_an_inbox_that_nobody_reads_is_given_up_and_left_empty(self):
        self.fake.roots[0]["path"] = "/elsewhere"
        self.set_constant(restoring, "ANSWERED_S", 0.05)
        with self.assertRaises(tideway.TidewayError) as raised:
            tideway.restore("llm7", self.top / "back", timeout=WAIT_S)
        self.assertEqual(raised.exception.code, "daemon_unreachable")
        self.assertEqual(list((self.top / ".tideway/inbox").iterdir()), [])

    def test_who_waits_no_longer_for_the_inbox_hears_that_his_time_is_up(self):
        self.fake.roots[0]["path"] = "/elsewhere"
        with self.assertRaises(tideway.TidewayError) as raised:
            tideway.restore("llm7", self.top / "back", timeout=0.05)
        self.assertEqual(raised.exception.code, "deadline")
        self.assertIn("its job goes on", raised.exception.next)
        self.assertEqual(list((self.top / ".tideway/inbox").iterdir()), [])

    def test_one_that_cannot_be_verified_says_so(self):
        self.fake.jobs["r1"] = {"id": "r1", "state": "failed", "error": {"code": "hash_mismatch", "detail": "step 9", "next": "take step 8"}}
        with self.assertRaises(tideway.TidewayError) as raised:
            tideway.restore("llm7", "ckpt:back")
        self.assertEqual((raised.exception.exit_code, raised.exception.next), (8, "take step 8"))


class Shell(Growing):
    def run_main(self, *words):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(list(words))
        return code, out.getvalue().strip(), err.getvalue()

    def test_copy_submit_replicate_and_restore_print_what_they_got(self):
        gateway = self.streaming_gateway()
        gateway.answers["POST /v1/jobs"] = lambda request, body: request.reply(201, {"id": "j1", "state": "queued"})
        gateway.answers["POST /v1/restore"] = lambda request, body: request.reply(202, {"id": "c1"})
        for name in ("j1", "c1"):
            gateway.jobs[name] = {"id": name, "state": "published"}
        self.write()
        spec = self.folder / "spec.json"
        spec.write_text('{"sources": ["ckpt:a"], "destination": "wisconsin:ckpt/a"}')
        self.assertEqual(self.run_main("copy", "ckpt:a", "wisconsin:ckpt/a", "--label", "run=7")[:2], (0, "j1"))
        self.assertEqual(self.run_main("submit", str(spec), "--wait")[:2], (0, "j1"))
        self.assertEqual(self.run_main("replicate", str(self.path), "--to", "wisconsin:ckpt/run", "--wait", "--keep", "2")[:2], (0, "c1"))
        self.assertEqual(self.run_main("restore", "llm7", str(self.top / "back"))[:2], (0, str(self.top / "back")))
        self.assertEqual(gateway.wait_for("POST", "/v1/jobs")[0]["labels"], {"run": "7"})
        self.assertEqual(gateway.wait_for("POST", "/v1/checkpoints")[0]["keep"], 2)

    def test_a_command_writes_what_is_streamed_and_its_failure_abandons_it(self):
        gateway = self.streaming_gateway()
        gateway.jobs["g1"] = {"id": "g1", "state": "published"}
        opened = self.folder / "opened"

        def take(request, body):
            request.reply(202, {"id": "g1"})
            opened.touch()
        gateway.answers["POST /v1/checkpoints"] = take
        script = f"while [ ! -e {opened} ]; do sleep 0.01; done; rm {opened}; echo x > {self.path}/__0_0.distcp; echo m > {self.path}/.metadata"
        words = ("stream", str(self.path), "--to", "wisconsin:ckpt/run", "--wait", "--timeout", str(WAIT_S), "--", "sh", "-c")
        self.assertEqual(self.run_main(*words, script)[:2], (0, "g1"))
        self.assertEqual(len(gateway.wait_for("POST", "/v1/checkpoints/g1/complete")), 1)
        self.assertEqual(self.run_main(*words, script + "; exit 7")[0], 7)
        self.assertEqual(len(gateway.wait_for("POST", "/v1/checkpoints/g1/abort")), 1)

    def test_exit_codes_are_those_of_the_command_line(self):
        self.assertEqual(self.run_main("copy", "ckpt:a", "wisconsin:ckpt/a")[0], 4)
        self.assertEqual(self.run_main("submit", "/nonexistent")[0], 2)
        self.assertEqual(self.run_main("replicate", "x", "--to", "nowhere")[0], 2)
        self.assertEqual(self.run_main("copy", "ckpt:a", "wisconsin:ckpt/a", "--label", "x")[0], 2)
        gateway = self.streaming_gateway()
        gateway.jobs["c1"] = {"id": "c1", "state": "running"}
        self.write()
        self.assertEqual(self.run_main("replicate", str(self.path), "--to", "wisconsin:ckpt/run", "--wait", "--timeout", "0.1")[0], 11)

    def test_a_phase_by_hand_goes_to_the_socket(self):
        gateway = self.streaming_gateway()
        gateway.answers["POST /v1/phase"] = lambda request, body: request.reply(204, None)
        self.assertEqual(self.run_main("phase", "begin", "--training", "llm7", "--to", "wisconsin", "--ttl", "3")[0], 0)
        self.setenv("TIDEWAY_TRAINING", "llm7")
        self.assertEqual(self.run_main("phase", "end")[0], 0)
        self.assertEqual(gateway.wait_for("POST", "/v1/phase", 2), [{"training": "llm7", "kind": "begin", "dst": "wisconsin", "ttl_us": 3_000_000},
                                                                    {"training": "llm7", "kind": "end"}])

    def test_a_command_that_communicates_gives_its_exit_code(self):
        self.assertEqual(self.run_main("phase", "run", "--training", "llm7", "--", "sh", "-c", "exit 7")[0], 7)

    def test_it_runs_as_a_module(self):
        answer = subprocess.run([sys.executable, "-m", "tideway", "copy", "ckpt:a", "wisconsin:ckpt/a"], capture_output=True, text=True, timeout=WAIT_S,
                                env={**os.environ, "PYTHONPATH": str(REPOSITORY / "python")})
        self.assertEqual(answer.returncode, 4)
        self.assertIn("daemon_unreachable", answer.stderr)


if __name__ == "__main__":
    unittest.main()
