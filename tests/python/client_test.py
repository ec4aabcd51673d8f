#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The client of the API: addresses, errors, jobs and their events, against a fake gateway on a real socket."""
import pickle
import re
import socket
import unittest
from datetime import datetime, timezone

from support import REPOSITORY, Case, event

import tideway
from tideway import errors, jobs, settings
from tideway.connection import Gateway


class Errors(Case):
    def test_the_table_is_the_gateways(self):
        text = (REPOSITORY / "include/tideway/result.h").read_text()
        gateways = {name: int(code) for name, code in re.findall(r'\{Fault::k\w+, "(\w+)", (\d+),', text)}
        self.assertGreater(len(gateways), 40)
        ours = {name: errors.EXIT_CODES[name] for name in gateways if name in errors.EXIT_CODES}
        self.assertEqual(ours, gateways)

    def test_the_listed_codes_that_never_change_are_all_there(self):
        for line in (REPOSITORY / "docs/texts/faults.txt").read_text().split("\n"):
            if line:
                name, code = line.split()
                self.assertEqual(errors.EXIT_CODES[name], int(code), name)

    def test_a_code_of_a_later_gateway_keeps_its_name(self):
        error = errors.error_of({"code": "new_trouble", "detail": "it rains", "next": "take a coat"})
        self.assertEqual((error.code, error.exit_code, str(error)), ("new_trouble", 1, "it rains (new_trouble); take a coat"))

    def test_one_that_comes_out_of_a_worker_is_the_same(self):
        error = pickle.loads(pickle.dumps(errors.TidewayError("dest_full", "no room", "free some")))
        self.assertEqual((error.code, error.detail, error.next, error.exit_code, str(error)), ("dest_full", "no room", "free some", 7, "no room (dest_full); free some"))

    def test_an_answer_that_is_no_problem_json_is_named_by_its_status(self):
        for body in (b"<html>", b"[]", b"{}", b"", b"\xff"):
            error = errors.error_of_answer(502, body)
            self.assertEqual(error.code, "daemon_unreachable")
            self.assertIn("502", error.detail)


class Connection(Case):
    def test_nobody_at_the_socket_is_daemon_unreachable_with_its_name(self):
        with self.assertRaises(tideway.TidewayError) as raised:
            Gateway().ask("GET", "/v1/roots")
        self.assertEqual((raised.exception.code, raised.exception.exit_code), ("daemon_unreachable", 4))
        self.assertIn(str(self.folder / "api.sock"), str(raised.exception))

    def test_a_gateway_that_hangs_is_left_after_the_timeout(self):
        with socket.socket(socket.AF_UNIX) as hung:
            hung.bind(str(self.folder / "api.sock"))
            hung.listen()
            with self.assertRaises(tideway.TidewayError) as raised:
                Gateway(timeout=0.05).ask("GET", "/v1/roots")
        self.assertEqual(raised.exception.code, "daemon_unreachable")

    def test_a_problem_becomes_an_exception_with_its_code_and_what_to_do(self):
        gateway = self.gateway()
        gateway.answers["GET /v1/roots"] = lambda request, _: request.problem(409, "dest_full", "no room")
        with self.assertRaises(tideway.TidewayError) as raised:
            Gateway().ask("GET", "/v1/roots")
        error = raised.exception
        self.assertEqual((error.code, error.exit_code, error.detail, error.next), ("dest_full", 7, "no room", "do this"))

    def test_an_answer_that_is_no_json_is_a_protocol_error(self):
        gateway = self.gateway()
        gateway.answers["GET /v1/roots"] = lambda request, _: request.stream("not json")
        with self.assertRaises(tideway.TidewayError) as raised:
            Gateway().ask("GET", "/v1/roots")
        self.assertEqual(raised.exception.code, "protocol_error")


class Copy(Case):
    def setUp(self):
        super().setUp()
        self.fake = self.gateway(self.root())
        (self.folder / "root/runs").mkdir()
        self.fake.answers["POST /v1/jobs"] = lambda request, body: request.reply(201, {"id": "7b1e", "state": "queued", "spec": body})
        self.fake.jobs["7b1e"] = {"id": "7b1e", "state": "published", "spec": {}}

    def sent(self):
        return self.fake.wait_for("POST", "/v1/jobs")[0]

    def test_a_local_path_is_sent_as_a_place_below_its_root(self):
        job = tideway.copy(self.folder / "root/runs/a", "wisconsin:ckpt/a", verify="memory")
        self.assertEqual((job.id, job.state), ("7b1e", "published"))
        self.assertEqual(self.sent(), {"sources": ["ckpt:runs/a"], "destination": "wisconsin:ckpt/a", "class": "best-effort",
                                       "compress": "auto", "verify": "memory", "patience": "command"})

    def test_the_slash_that_means_into_this_directory_stays(self):
        tideway.copy(["wisconsin:ckpt/a", "wisconsin:ckpt/b"], str(self.folder / "root/runs") + "/", wait=False)
        self.assertEqual((self.sent()["sources"], self.sent()["destination"]), (["wisconsin:ckpt/a", "wisconsin:ckpt/b"], "ckpt:runs/"))

    def test_a_path_below_no_root_is_refused_before_anything_is_sent(self):
        with self.assertRaises(tideway.TidewayError) as raised:
            tideway.copy(self.folder / "rootless", "wisconsin:ckpt/a")
        self.assertEqual((raised.exception.code, raised.exception.exit_code), ("usage", 2))
        self.assertNotIn("POST", [method for method, _, _ in self.fake.asked])

    def test_the_innermost_root_holds_it(self):
        self.fake.roots.append({"name": "inner", "path": str(self.folder / "root/runs"), "bytes_free": 1})
        tideway.copy(self.folder / "root/runs/a", "wisconsin:ckpt/a", wait=False)
        self.assertEqual(self.sent()["sources"], ["inner:a"])

    def test_with_a_deadline_it_says_how_much_there_is(self):
        (self.folder / "root/runs/d/below").mkdir(parents=True)
        (self.folder / "root/runs/d/below/shard").write_bytes(b"x" * 1000)
        (self.folder / "root/runs/d/index").write_bytes(b"y" * 24)
        tideway.copy(self.folder / "root/runs/d", "wisconsin:ckpt/d", deadline=datetime(2026, 11, 27, tzinfo=timezone.utc), wait=False)
        self.assertEqual((self.sent()["deadline"], self.sent()["bytes"]), ("2026-11-27T00:00:00Z", 1024))

    def test_a_job_that_failed_raises_its_own_code(self):
        self.fake.jobs["7b1e"] = {"id": "7b1e", "state": "failed", "error": {"code": "source_missing", "detail": "gone"}}
        with self.assertRaises(tideway.TidewayError) as raised:
            tideway.copy("ckpt:a", "wisconsin:ckpt/a")
        self.assertEqual((raised.exception.code, raised.exception.exit_code), ("source_missing", 6))

    def test_disabled_means_nothing_is_asked(self):
        self.setenv("TIDEWAY_DISABLE", "1")
        job = tideway.copy("ckpt:a", "wisconsin:ckpt/a")
        self.assertEqual((job.state, job.wait().state, list(job.events())), ("disabled", "disabled", []))
        self.assertEqual(self.fake.asked, [])


class Jobs(Case):
    def setUp(self):
        super().setUp()
        self.set_constant(jobs, "LOOK_MAX_S", 0.0)
        self.fake = self.gateway()
        self.fake.jobs["ab"] = {"id": "ab", "state": "running"}
        self.job = jobs.Job({"id": "ab", "state": "running"})

    def test_events_go_on_behind_the_last_one_when_the_connection_breaks(self):
        begun = []

        def answer(request, _):
            begun.append(request.headers["Last-Event-ID"])
            if len(begun) == 1:
                return request.stream(event(4, {"id": "ab", "state": "running"}) + event(0, {"id": "ab", "state": "running"}, "progress"))
            if len(begun) == 2:
                return request.stream(": still here\n\nid: 5\nevent: sta")  # torn in the middle of an event
            self.fake.jobs["ab"]["state"] = "published"
            return request.stream(event(5, {"id": "ab", "state": "published"}))
        self.fake.answers["GET /v1/jobs/ab/events"] = answer
        seen = [(item["event"], item["id"], item["job"]["state"]) for item in self.job.events()]
        self.assertEqual(seen, [("state", "4", "running"), ("progress", None, "running"), ("state", "5", "published")])
        self.assertEqual(begun, ["0", "4", "4"])
        self.assertEqual(self.job.state, "published")

    def test_events_wait_for_a_gateway_that_has_no_room_for_their_reader(self):
        begun = []

        def answer(request, _):
            begun.append(1)
            if len(begun) == 1:
                return request.problem(503, "overloaded", "too many follow events already")
            self.fake.jobs["ab"]["state"] = "published"
            return request.stream(event(5, {"id": "ab", "state": "published"}))
        self.fake.answers["GET /v1/jobs/ab/events"] = answer
        self.assertEqual([item["job"]["state"] for item in self.job.events()], ["published"])

    def test_a_wait_that_is_too_short_is_a_deadline_and_the_job_goes_on(self):
        with self.assertRaises(tideway.TidewayError) as raised:
            self.job.wait(timeout=0.05)
        self.assertEqual((raised.exception.code, raised.exception.exit_code), ("deadline", 11))
        self.assertNotIn("POST", [method for method, _, _ in self.fake.asked])

    def test_a_gateway_that_stays_away_ends_the_wait(self):
        self.set_constant(jobs, "RECONNECT_FOR_S", 0.0)
        self.setenv("TIDEWAY_API", str(self.folder / "nobody.sock"))
        with self.assertRaises(tideway.TidewayError) as raised:
            jobs.Job({"id": "ab"}).wait()
        self.assertEqual(raised.exception.code, "daemon_unreachable")

    def test_pause_resume_and_cancel_take_the_answer_over(self):
        seen = []
        for act in (self.job.pause, self.job.resume, self.job.cancel):
            act()
            seen.append(self.job.state)
        self.assertEqual(seen, ["paused", "queued", "cancelled"])
        with self.assertRaises(tideway.TidewayError) as raised:
            self.job.wait()
        self.assertEqual(raised.exception.code, "cancelled")

    def test_the_reason_is_what_it_waits_for_or_what_failed_it(self):
        self.assertEqual(jobs.Job({"wait": {"reason": "peer_lost"}}).reason, "peer_lost")
        self.assertEqual(jobs.Job({"error": {"code": "dest_full"}}).reason, "dest_full")
        self.assertEqual(jobs.Job({}).reason, "")
        self.assertEqual(jobs.Job({"eta": "2026-12-01T00:00:00Z"}).eta.isoformat(), "2026-12-01T00:00:00+00:00")


class Settings(Case):
    def test_beacon_targets_have_ports(self):
        self.setenv("TIDEWAY_BEACON", "10.77.0.1, gw:7000,[::1]:7001,::1")
        self.assertEqual(settings.beacon_targets(), [("10.77.0.1", 7399), ("gw", 7000), ("::1", 7001), ("::1", 7399)])
        self.setenv("TIDEWAY_BEACON", "gw:0")
        with self.assertRaises(ValueError):
            settings.beacon_targets()

    def test_the_member_is_the_rank(self):
        self.assertEqual(settings.member(), (0, 1))
        self.setenv("RANK", "3")
        self.setenv("WORLD_SIZE", "8")
        self.assertEqual(settings.member(), (3, 8))


if __name__ == "__main__":
    unittest.main()
