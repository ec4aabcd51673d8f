#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that libtideway sends while they are written, called from C by tests/client/driver.c, against the fake gateway."""
import json
import os
import threading
import unittest

from driven import ACCEPTED, ClientCase, DISABLED, PUBLISHED, STORED, TO, WAIT_S


class Streams(ClientCase):
    def streaming_gateway(self, root):
        gateway = self.gateway(root)
        gateway.jobs["g1"] = gateway.jobs["c1"] = {"id": "g1", "state": "published"}
        gateway.answers["POST /v1/checkpoints"] = lambda request, body: request.reply(202, {"id": "g1" if body.get("growing") else "c1"})
        for verb in ("ranges", "complete", "abort"):
            gateway.answers[f"POST /v1/checkpoints/g1/{verb}"] = lambda request, body: request.reply(202, {})
        return gateway

    def test_ranges_go_in_order_and_the_end_completes_it_with_a_pin(self):
        root = self.root()
        gateway = self.streaming_gateway(root)
        driver = self.driver()
        path = root / "run/step-7"
        self.assertEqual(driver.call("stream", path, TO)[0], 0)
        opened, = gateway.wait_for("POST", "/v1/checkpoints")
        self.checkpoint(root)
        self.assertEqual(driver.call("declare", 0, 1000, path / "__0_0.distcp")[0], 0)
        gateway.wait_for("POST", "/v1/checkpoints/g1/ranges")
        self.assertEqual(driver.call("declare", 1000, 2000, "__0_0.distcp")[0], 0)
        self.assertEqual(driver.call("complete")[0], 0)
        self.assertEqual(driver.call("wait", PUBLISHED, WAIT_S), (0, "", ""))
        name = driver.call("id")[2]
        self.assertEqual((opened["growing"], opened["submission_id"], opened["path"]), (True, f"{name}-growing", "ckpt:run/step-7"))
        told = [(body["path"], body["offset"], body["length"]) for _, where, body in gateway.asked if where.endswith("/ranges")]  # again after a late answer
        self.assertEqual(list(dict.fromkeys(told)), [("__0_0.distcp", 0, 1000), ("__0_0.distcp", 1000, 2000)])
        self.assertEqual(gateway.wait_for("POST", "/v1/checkpoints/g1/complete"), [{"pin": name}])
        self.assertTrue((root / ".tideway/pins" / name / ".metadata").is_file())
        self.assertEqual(driver.counts()["accepted"], 1)

    def test_ranges_that_become_longer_while_others_are_on_their_way_are_told_whole(self):
        root = self.root()
        gateway = self.streaming_gateway(root)
        may_open, is_asked, may_answer = threading.Event(), threading.Event(), threading.Event()

        def opened(request, body):
            may_open.wait(WAIT_S)
            request.reply(202, {"id": "g1" if body.get("growing") else "c1"})

        def told(request, body):
            is_asked.set()
            may_answer.wait(WAIT_S)
            request.reply(202, {})
        gateway.answers["POST /v1/checkpoints"] = opened
        gateway.answers["POST /v1/checkpoints/g1/ranges"] = told
        driver = self.driver()
        driver.call("stream", root / "run/step-7", TO)
        gateway.wait_for("POST", "/v1/checkpoints")
        driver.call("declare", 0, 4, "a")
        driver.call("declare", 0, 4, "b")
        may_open.set()
        self.assertTrue(is_asked.wait(WAIT_S))  # for a, with b behind it
        driver.call("declare", 4, 4, "b")
        may_answer.set()
        self.checkpoint(root)
        driver.call("complete")
        self.assertEqual(driver.call("wait", PUBLISHED, WAIT_S), (0, "", ""))
        told = {(body["path"], byte) for _, where, body in gateway.asked if where.endswith("/ranges") for byte in range(body["offset"], body["offset"] + body["length"])}
        self.assertEqual(told, {(name, byte) for name, count in (("a", 4), ("b", 8)) for byte in range(count)})

    def test_one_that_is_abandoned_or_left_open_is_never_complete(self):
        root = self.root_with_inbox()
        gateway = self.streaming_gateway(root)
        driver = self.driver()
        driver.call("stream", root / "run/step-7", TO)
        gateway.wait_for("POST", "/v1/checkpoints")
        self.assertEqual(driver.call("abort")[0], 0)
        gateway.wait_for("POST", "/v1/checkpoints/g1/abort")
        driver.call("stream", root / "run/step-8", TO)
        gateway.wait_for("POST", "/v1/checkpoints", 2)
        driver.call("close", 0)
        self.assertEqual([where for _, where, _ in gateway.asked if where.endswith("complete")], [])
        self.assertEqual(os.listdir(root / ".tideway/inbox"), [])

    def test_nobody_waits_for_a_stream_that_is_open_but_for_what_lies_beside_it(self):
        driver = self.driver()
        driver.call("stream", self.folder / "bare/run/step-7", TO)
        with self.returns_soon(driver):
            self.assertEqual(driver.call("flush", -1)[0], 0)
            driver.call("replicate", self.checkpoint(self.folder / "bare", "other/step-7"), TO)
            self.assertEqual(driver.call("flush", 0.1)[:2], (11, "deadline"))
            gateway = self.streaming_gateway(self.folder / "bare")
            self.assertEqual((driver.call("flush", -1)[0], driver.counts()["waiting"]), (0, 1))
            self.assertIn(("POST", "/v1/checkpoints", None), [(how, where, (body or {}).get("growing")) for how, where, body in gateway.asked])
            self.assertEqual(driver.call("close", 10 * WAIT_S)[0], 0)

    def test_one_that_is_cancelled_behind_its_end_is_abandoned_at_the_gateway_too(self):
        root = self.root()
        gateway = self.streaming_gateway(root)
        whole_came = threading.Event()

        def answer(request, body):
            if body.get("growing"):
                return request.reply(202, {"id": "g1"})
            whole_came.set()
            return request.problem(503, "store_unavailable")
        gateway.answers["POST /v1/checkpoints"] = answer
        gateway.answers["POST /v1/checkpoints/g1/complete"] = lambda request, body: request.problem(503, "store_unavailable")
        driver = self.driver()
        driver.call("stream", root / "run/step-7", TO)
        driver.call("declare", 0, 1, "a")
        gateway.wait_for("POST", "/v1/checkpoints/g1/ranges")
        self.checkpoint(root)
        driver.call("complete")
        self.assertTrue(whole_came.wait(WAIT_S))  # it is held, and tried again
        self.wait_until(lambda: driver.call("cancel")[0] == 0)  # not while it is on its way
        gateway.wait_for("POST", "/v1/checkpoints/g1/abort")
        self.assertEqual(driver.call("wait", PUBLISHED, WAIT_S)[:2], (1, "cancelled"))
        self.wait_until(lambda: driver.counts()["waiting"] == 0)
        self.assertEqual(os.listdir(root / ".tideway/pins"), [])

    def test_one_that_is_open_makes_no_room_in_a_full_queue(self):
        driver = self.driver()
        driver.call("stream", self.folder / "bare/run/step-7", TO)
        self.assertEqual(driver.call("many", self.checkpoint(self.folder / "bare", "run/step-8"), TO, 300)[0], 0)
        self.checkpoint(self.folder / "bare")
        driver.call("complete")
        self.streaming_gateway(self.folder / "bare")
        self.assertEqual(driver.call("flush", WAIT_S)[0], 0)
        self.assertEqual(driver.call("wait", PUBLISHED, WAIT_S), (0, "", ""))

    def test_one_that_is_pushed_out_of_a_full_queue_is_told_to_the_gateway_until_it_hears_it(self):
        root = self.root()
        gateway = self.streaming_gateway(root)
        hears = threading.Event()
        gateway.answers["POST /v1/checkpoints/g1/abort"] = lambda request, body: request.reply(202, {}) if hears.is_set() else request.problem(503, "store_unavailable")
        gateway.answers["POST /v1/checkpoints/g1/complete"] = lambda request, body: request.problem(503, "store_unavailable")
        gateway.answers["POST /v1/checkpoints"] = lambda request, body: request.reply(202, {"id": "g1"}) if body.get("growing") else request.problem(503, "store_unavailable")
        driver = self.driver()
        driver.call("stream", root / "run/step-7", TO)
        driver.call("declare", 0, 1, "a")
        gateway.wait_for("POST", "/v1/checkpoints/g1/ranges")
        self.checkpoint(root)
        self.assertEqual(driver.call("complete")[0], 0)
        gateway.wait_for("POST", "/v1/checkpoints/g1/complete")
        self.assertEqual(driver.call("many", self.checkpoint(root, "run/step-8"), TO, 300)[0], 0)
        gateway.wait_for("POST", "/v1/checkpoints/g1/abort", 2)
        self.assertNotEqual(driver.call("wait", PUBLISHED, WAIT_S)[0], 0)
        self.assertGreaterEqual(driver.counts()["dropped"], 1)
        hears.set()
        self.assertEqual(driver.call("close", 0)[0], 0)

    def test_a_gateway_that_knows_no_streams_gets_it_whole(self):
        root = self.root()
        gateway = self.streaming_gateway(root)
        gateway.answers["POST /v1/checkpoints"] = lambda request, body: request.problem(400, "unsupported") if body.get("growing") else request.reply(202, {"id": "c1"})
        driver = self.driver()
        driver.call("stream", root / "run/step-7", TO)
        driver.call("declare", 0, 1, "a")
        self.checkpoint(root)
        driver.call("complete")
        self.assertEqual(driver.call("wait", PUBLISHED, WAIT_S), (0, "", ""))
        opened = dict.fromkeys(body.get("growing", False) for how, where, body in gateway.asked if (how, where) == ("POST", "/v1/checkpoints"))  # again after a late answer
        self.assertEqual(list(opened), [True, False])

    def test_with_the_gateway_away_it_waits_in_the_inbox_whole_and_held(self):
        root = self.root_with_inbox()
        driver = self.driver()
        driver.call("stream", root / "run/step-7", TO)
        self.checkpoint(root)
        driver.call("complete")
        self.assertEqual(driver.call("wait", STORED, WAIT_S)[0], 0)
        request, = (root / ".tideway/inbox").glob("*.json")
        self.assertEqual(json.loads(request.read_text())["pin"], driver.call("id")[2])
        self.assertNotIn("growing", request.read_text())

    def test_what_departs_behind_the_end_is_not_handed_over_torn_and_what_was_renamed_before_it_is_no_trouble(self):
        path = self.checkpoint(self.folder / "bare")
        driver = self.driver()
        driver.call("stream", path, TO)
        (path / "__0_0.distcp").rename(path / "__1_0.distcp")
        (path / "extra/common.pt").unlink()
        driver.call("complete")
        driver.call("stream", path, TO)
        driver.call("complete")
        (path / ".metadata").unlink()
        gateway = self.streaming_gateway(self.folder / "bare")
        driver.call("flush", WAIT_S)
        self.assertEqual(driver.call("wait", ACCEPTED, WAIT_S)[:2], (6, "source_vanished"))

    def test_arguments_that_are_wrong_and_streams_that_are_not_there_are_refused(self):
        root = self.root()
        driver = self.driver()
        self.assertEqual(driver.call("declare", 0, 1, "a")[:2], (2, "usage"))
        self.assertEqual(driver.call("complete")[:2], (2, "usage"))
        self.assertEqual(driver.call("stream", root / "a", "nowhere")[:2], (2, "usage"))
        self.assertEqual(driver.call("stream", root / "a", TO)[0], 0)
        for words in ((0, 0, "a"), (1, 2**64 - 1, "a"), (0, 1, root / "b")):
            self.assertEqual(driver.call("declare", *words)[:2], (2, "usage"), words)
        self.assertEqual(driver.call("declare", 0, 1)[0], 0)
        self.assertEqual(driver.call("declare", 0, 1, root / "a/b")[0], 0)

    def test_disabled_streams_do_nothing(self):
        self.setenv("TIDEWAY_DISABLE", "1")
        driver = self.driver()
        for words in (("stream", "/a", TO), ("declare", 0, 1, "b"), ("complete",)):
            self.assertEqual(driver.call(*words)[0], 0)
        self.assertEqual(driver.call("state")[0], DISABLED)


if __name__ == "__main__":
    unittest.main()
