#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""libtideway, called from C by tests/client/driver.c, against the fake gateway of the Python package's tests; and the example, installed."""
import json
import os
import shutil
import signal
import socket
import subprocess
import unittest

from driven import ACCEPTED, BUILD, ClientCase, DISABLED, Driver, FAILED, PUBLISHED, QUEUED, REPOSITORY, STORED, SUPERSEDED, TO, WAIT_S


class Checkpoints(ClientCase):
    def test_a_checkpoint_is_pinned_handed_over_and_waited_for(self):
        root = self.root()
        gateway = self.gateway(root)
        self.takes(gateway)
        path = self.checkpoint(root)
        driver = self.driver()
        self.assertEqual(driver.call("replicate", path, TO, "rpo=30m", "keep=3", "deadline=2026-11-26T18:00:00Z", "world=8", "pointer=latest")[0], 0)
        self.assertEqual(driver.call("wait", PUBLISHED, WAIT_S), (0, "", ""))
        body, = gateway.wait_for("POST", "/v1/checkpoints")
        self.assertEqual(body["pin"], body["submission_id"])
        self.assertEqual(body, {"submission_id": driver.call("id")[2], "path": "ckpt:run/step-7", "series": "run", "to": [TO], "format": "auto", "publish": "rename",
                                "supersede": "latest", "rpo": "30m", "keep": 3, "deadline": "2026-11-26T18:00:00Z", "world": 8, "pointers": ["latest"], "pin": body["pin"]})
        pin = root / ".tideway/pins" / body["pin"]
        self.assertEqual((pin / "extra/common.pt").read_bytes(), b"c" * 1000)
        large = (path / "__0_0.distcp").read_bytes()
        shutil.rmtree(path)
        self.assertEqual((pin / "__0_0.distcp").read_bytes(), large)
        self.assertEqual(driver.counts()["accepted"], 1)

    def test_a_pin_has_the_links_and_empty_directories_of_its_checkpoint(self):
        root = self.root()
        gateway = self.gateway(root)
        self.takes(gateway)
        path = self.checkpoint(root)
        (path / "tokenizer_v2.json").write_text("{}")
        links = {"tokenizer.json": "tokenizer_v2.json", "extra/marker": "../.metadata", "shards": "extra", "nowhere": "gone"}
        for name, target in links.items():
            (path / name).symlink_to(target)
        (path / "hooks/none").mkdir(parents=True)
        driver = self.driver()
        driver.call("replicate", path, TO)
        self.assertEqual(driver.call("wait", PUBLISHED, WAIT_S), (0, "", ""))
        pin = root / ".tideway/pins" / driver.call("id")[2]
        self.assertEqual({name: os.readlink(pin / name) for name in links}, links)
        self.assertEqual((pin / "tokenizer.json").read_text(), "{}")
        self.assertTrue((pin / "hooks/none").is_dir())
        self.assertEqual(sorted(at.relative_to(pin) for at in pin.rglob("*")), sorted(at.relative_to(path) for at in path.rglob("*")))
        self.assertEqual(driver.counts()["unpinned"], 0)

    def test_the_directories_of_a_pin_have_the_times_and_modes_of_the_checkpoint_and_let_the_gateways_group_in(self):
        root = self.root()
        self.takes(self.gateway(root))
        path = self.checkpoint(root)
        (path / "hooks/none").mkdir(parents=True)
        expected = {}
        for moment, (name, mode) in enumerate((("hooks/none", 0o705), ("hooks", 0o750), ("extra", 0o700), ("", 0o755)), 1):
            os.chmod(path / name, mode)
            os.utime(path / name, (moment, moment))
            expected[name] = (mode | 0o2770, moment)
        driver = self.driver()
        driver.call("replicate", path, TO)
        self.assertEqual(driver.call("wait", PUBLISHED, WAIT_S), (0, "", ""))
        pin = root / ".tideway/pins" / driver.call("id")[2]
        self.assertEqual({name: ((pin / name).stat().st_mode & 0o7777, (pin / name).stat().st_mtime) for name in expected}, expected)

    def test_a_path_that_is_a_link_is_the_checkpoint_that_it_leads_to(self):
        root = self.root()
        gateway = self.gateway(root)
        gateway.answers["POST /v1/checkpoints"] = lambda request, body: request.problem(503, "store_unavailable")
        path = self.checkpoint(root)
        latest = root / "run/latest"
        latest.symlink_to("step-7")
        driver = self.driver()
        driver.call("replicate", latest, TO)
        gateway.wait_for("POST", "/v1/checkpoints")
        latest.unlink()
        latest.symlink_to("step-8")  # which is not there yet
        self.takes(gateway)
        self.assertEqual(driver.call("flush", WAIT_S)[0], 0)
        first, *again = gateway.wait_for("POST", "/v1/checkpoints", 2)
        self.assertEqual({body["path"] for body in (first, *again)}, {"ckpt:run/step-7"})
        shutil.rmtree(path)
        self.assertTrue((root / ".tideway/pins" / first["pin"] / "extra/common.pt").is_file())
        self.assertEqual(driver.counts()["unpinned"], 0)
        driver.call("replicate", latest, TO)
        self.assertEqual(driver.call("wait", ACCEPTED, WAIT_S)[:2], (6, "source_missing"))

    def test_what_the_gateway_refuses_is_told_with_its_code_and_leaves_no_pin(self):
        root = self.root()
        gateway = self.gateway(root)
        gateway.answers["POST /v1/checkpoints"] = lambda request, body: request.problem(400, "unsupported", "keep is not there")
        driver = self.driver()
        driver.call("replicate", self.checkpoint(root), TO, "keep=3")
        self.assertEqual(driver.call("wait", PUBLISHED, WAIT_S), (1, "unsupported", "keep is not there; do this"))
        self.assertEqual((driver.call("state")[0], os.listdir(root / ".tideway/pins")), (FAILED, []))
        self.assertEqual(driver.counts()["refused"], 1)

    def test_a_code_of_a_newer_gateway_keeps_its_name(self):
        root = self.root()
        gateway = self.gateway(root)
        gateway.answers["POST /v1/checkpoints"] = lambda request, body: request.problem(409, "moon_phase")
        driver = self.driver()
        driver.call("replicate", self.checkpoint(root), TO, "pin=off")
        self.assertEqual(driver.call("wait", ACCEPTED, WAIT_S)[:2], (1, "moon_phase"))

    def test_one_that_a_newer_replaced_is_superseded(self):
        root = self.root()
        gateway = self.gateway(root)
        self.takes(gateway)
        gateway.jobs["j1"] = {"id": "j1", "state": "cancelled", "superseded_by": "j2"}
        driver = self.driver()
        driver.call("replicate", self.checkpoint(root), TO)
        self.assertEqual(driver.call("wait", PUBLISHED, WAIT_S)[:2], (1, "cancelled"))
        self.assertEqual(driver.call("state")[0], SUPERSEDED)

    def test_where_the_gateway_knows_the_root_by_another_path_its_inbox_is_asked(self):
        root = self.root_with_inbox()
        gateway = self.gateway(root)
        gateway.roots[0]["path"] = "/mnt/of-the-host"
        driver = self.driver()
        driver.call("replicate", self.checkpoint(root), TO)
        self.assertEqual(driver.call("wait", STORED, WAIT_S)[0], 0)
        name = driver.call("id")[2]
        request = json.loads((root / f".tideway/inbox/{name}.json").read_text())
        self.assertEqual((request["path"], request["pin"], [how for how, _, _ in gateway.asked if how == "POST"]), ("run/step-7", name, []))

    def test_a_path_below_no_root_and_one_that_is_not_there_are_refused(self):
        root = self.root()
        gateway = self.gateway(root)
        driver = self.driver()
        driver.call("replicate", self.checkpoint(self.folder, "elsewhere"), TO)
        self.assertEqual(driver.call("wait", ACCEPTED, WAIT_S)[:2], (2, "usage"))
        driver.call("replicate", root / "nothing", TO)
        self.assertEqual(driver.call("wait", ACCEPTED, WAIT_S)[:2], (6, "source_missing"))
        self.assertEqual([how for how, where, _ in gateway.asked if how == "POST"], [])


class Away(ClientCase):
    """A training meets no difference, whatever state the gateway is in."""

    def test_requests_go_to_the_inbox_and_its_answer_is_found(self):
        root = self.root_with_inbox()
        driver = self.driver()
        self.assertEqual(driver.call("replicate", self.checkpoint(root), TO)[0], 0)
        self.assertEqual(driver.call("wait", STORED, WAIT_S)[0], 0)
        name = driver.call("id")[2]
        inbox = root / ".tideway/inbox"
        request = json.loads((inbox / f"{name}.json").read_text())
        self.assertEqual((request["path"], request["pin"], os.listdir(inbox)), ("run/step-7", name, [f"{name}.json"]))
        gateway = self.gateway(root)
        gateway.jobs["j9"] = {"id": "j9", "state": "published"}
        (inbox / f"{name}.status.json").write_text('{"id": "j9", "state": "queued"}')
        self.assertEqual(driver.call("wait", PUBLISHED, WAIT_S)[0], 0)
        self.assertEqual(driver.call("flush", WAIT_S)[0], 0)
        counts = driver.counts()
        self.assertEqual((counts["stored"], counts["waiting"], counts["latest"]), (1, 0, "daemon_unreachable"))
        self.assertGreaterEqual(counts["unanswered"], 1)

    def test_without_an_inbox_it_stays_in_memory_and_goes_when_the_gateway_comes(self):
        path = self.checkpoint(self.folder / "bare")
        driver = self.driver()
        driver.call("replicate", path, TO)
        self.assertEqual(driver.call("flush", 0.1)[:2], (11, "deadline"))
        self.assertEqual((driver.call("state")[0], driver.counts()["waiting"]), (QUEUED, 1))
        gateway = self.gateway(self.folder / "bare")
        self.takes(gateway)
        self.assertEqual(driver.call("flush", WAIT_S)[0], 0)
        self.assertEqual(driver.call("wait", PUBLISHED, WAIT_S)[0], 0)
        self.assertEqual(driver.counts()["unpinned"], 1)  # this root has no folder for pins

    def test_one_that_was_cleaned_up_before_anybody_looked_is_not_handed_over_torn(self):
        path = self.checkpoint(self.folder / "bare")
        driver = self.driver()
        driver.call("replicate", path, TO)
        (path / "__0_0.distcp").unlink()  # a trainer that keeps one less
        gateway = self.gateway(self.folder / "bare")
        self.takes(gateway)
        driver.call("flush", WAIT_S)
        returned, code, text = driver.call("wait", ACCEPTED, WAIT_S)
        self.assertEqual((returned, code), (6, "source_vanished"))
        self.assertIn("__0_0.distcp", text)
        self.assertEqual([how for how, _, _ in gateway.asked if how == "POST"], [])

    def test_one_that_was_cleaned_up_while_the_gateway_came_is_not_handed_over_torn(self):
        path = self.checkpoint(self.folder / "bare")
        gateway = self.gateway(self.folder / "bare")
        self.takes(gateway)

        def comes(request, _):  # after the one look, and before what follows it
            (path / "__0_0.distcp").unlink()
            del gateway.answers["GET /v1/roots"]
            request.reply(200, {"roots": gateway.roots})

        def away(request, _):
            gateway.answers["GET /v1/roots"] = comes
            request.problem(503, "store_unavailable")

        gateway.answers["GET /v1/roots"] = away
        driver = self.driver()
        driver.call("replicate", path, TO)
        driver.call("flush", WAIT_S)
        self.assertEqual(driver.call("wait", ACCEPTED, WAIT_S)[:2], (6, "source_vanished"))
        self.assertEqual([how for how, _, _ in gateway.asked if how == "POST"], [])

    def test_a_link_means_what_it_led_to_at_the_call(self):
        bare = self.folder / "bare"
        for name in ("run/step-7", "run/step-8"):
            self.checkpoint(bare, name)
        latest = bare / "run/latest"
        latest.symlink_to("step-7")
        driver = self.driver()
        driver.call("replicate", latest, TO)
        latest.unlink()
        latest.symlink_to("step-8")
        gateway = self.gateway(bare)
        self.takes(gateway)
        self.assertEqual(driver.call("flush", WAIT_S)[0], 0)
        self.assertEqual(gateway.wait_for("POST", "/v1/checkpoints")[0]["path"], "ckpt:run/step-7")

    def test_what_is_renamed_or_only_there_for_now_has_not_been_taken_away(self):
        path = self.checkpoint(self.folder / "bare")
        for name in ("__1_0.distcp.7f3a", "extra/part.saving", "lock.tmp"):
            (path / name).write_bytes(b"x")
        driver = self.driver()
        driver.call("replicate", path, TO)
        (path / "__1_0.distcp.7f3a").rename(path / "__1_0.distcp")  # as a name that no list of endings knows
        (path / "extra/part.saving").rename(path / "extra/part.pt")
        (path / "lock.tmp").unlink()
        (path / "came").write_bytes(b"x")
        (path / "came").unlink()
        gateway = self.gateway(self.folder / "bare")
        self.takes(gateway)
        self.assertEqual(driver.call("flush", WAIT_S)[0], 0)
        self.assertEqual(driver.call("wait", PUBLISHED, WAIT_S), (0, "", ""))

    def test_what_is_taken_away_from_below_while_nothing_holds_it_is_noticed_too(self):
        path = self.checkpoint(self.folder / "bare")
        driver = self.driver()
        driver.call("replicate", path, TO)
        self.assertEqual(driver.call("flush", 0.5)[0], 11)  # its thread has looked
        (path / "extra/common.pt").rename(path / "extra/common.new")
        (path / "extra/common.new").unlink()
        gateway = self.gateway(self.folder / "bare")
        self.takes(gateway)
        driver.call("flush", WAIT_S)
        returned, code, text = driver.call("wait", ACCEPTED, WAIT_S)
        self.assertEqual((returned, code), (6, "source_vanished"))
        self.assertIn("extra/common.new", text)

    def test_a_large_tree_costs_the_trainer_no_more_than_a_small_one(self):
        root = self.root()
        path = self.checkpoint(root, "run/large")
        for i in range(5000):
            (path / f"{i}").touch()
        driver = self.driver()
        self.assertLess(int(driver.call("many", path, TO, 5)[2]), 5_000)  # µs of the processor, with sanitizers; perf/hook measures it

    def test_a_gateway_that_hangs_costs_the_trainer_nothing(self):
        root = self.root_with_inbox()
        with socket.socket(socket.AF_UNIX) as hung:
            hung.bind(os.environ["TIDEWAY_API"])
            hung.listen(1)
            driver = self.driver()
            returned, _, longest_us = driver.call("many", self.checkpoint(root), TO, 30)
            self.assertEqual(returned, 0)
            self.assertLess(int(longest_us), 20_000)  # of the processor, with sanitizers; perf/hook measures it
            self.assertEqual(driver.call("close", WAIT_S)[0], 0)
        self.assertEqual(len(list((root / ".tideway/inbox").glob("*.json"))), 30)

    def test_a_file_system_that_stands_still_stops_no_trainer(self):
        path = self.checkpoint(self.folder / "bare")
        (path / "stands-still").mkdir()
        (path / "stands-still/common.pt").touch()
        driver = self.driver()
        driver.call("replicate", path, TO)
        self.wait_until(lambda: driver.call("standing")[0] == 1)
        with self.returns_soon(driver):
            self.assertEqual(driver.call("many", self.checkpoint(self.folder / "bare", "run/step-8"), TO, 400)[0], 0)  # also those that push others out
            self.assertEqual(driver.call("stream", path, TO)[0], 0)
            self.assertEqual(driver.call("complete")[0], 0)
            self.assertEqual(driver.call("close", 0)[0], 0)

    def test_a_queue_that_is_full_keeps_the_newest_of_a_series_and_refuses_other_work_aloud(self):
        path = self.checkpoint(self.folder / "bare")
        driver = self.driver()
        self.assertEqual(driver.call("many", path, TO, 400)[0], 0)
        counts = driver.counts()
        self.assertLessEqual(counts["waiting"], 256)
        self.assertEqual(counts["waiting"] + counts["dropped"], 400)
        self.assertEqual(driver.call("submit", "data:a", "wisconsin:data/a")[:2], (10, "overloaded"))
        self.assertEqual(driver.call("state")[0], FAILED)
        driver.call("iteration", "llm7", 0.5)
        self.assertEqual(driver.call("close", 0)[0], 0)

    def test_whoever_closes_leaves_what_is_left_in_the_inbox(self):
        path = self.checkpoint(self.folder / "bare")
        driver = self.driver()
        driver.call("replicate", path, TO)
        self.assertEqual(driver.call("flush", 0.05)[0], 11)
        (self.folder / "bare/.tideway/inbox").mkdir(parents=True)
        driver.call("close", 0)
        self.assertEqual(len(list((self.folder / "bare/.tideway/inbox").glob("*.json"))), 1)

    def test_whoever_closes_at_once_leaves_it_in_the_inbox_too(self):
        root = self.root_with_inbox()
        for number in range(10):
            driver = self.driver()
            driver.call("replicate", self.checkpoint(root, f"run/step-{number}"), TO)
            driver.call("close", 0)
            self.assertEqual(len(list((root / ".tideway/inbox").glob("*.json"))), number + 1)

    def test_an_inbox_that_takes_nothing_keeps_it_in_memory(self):
        root = self.root_with_inbox()
        inbox = root / ".tideway/inbox"
        inbox.rmdir()
        inbox.symlink_to("/dev/full")
        self.setenv("TIDEWAY_INBOX", str(inbox))
        driver = self.driver()
        driver.call("replicate", self.checkpoint(root), TO)
        self.assertEqual(driver.call("flush", 0.1)[0], 11)
        self.assertEqual((driver.counts()["latest"], driver.call("state")[0]), ("dest_io", QUEUED))  # an inbox elsewhere does not tell where pins are

    def test_a_trainer_that_is_killed_leaves_only_whole_requests(self):
        root = self.root_with_inbox()
        path = self.checkpoint(root)
        driver = Driver()
        driver.call("many", path, TO, 50)
        driver.process.send_signal(signal.SIGKILL)
        driver.end()
        for request in (root / ".tideway/inbox").glob("*.json"):
            self.assertEqual(json.loads(request.read_text())["path"], "run/step-7")


class Calls(ClientCase):
    def test_copy_and_restore_wait_and_carry_the_fields_of_the_api(self):
        root = self.root()
        gateway = self.gateway(root)
        self.takes(gateway, "/v1/jobs")
        self.takes(gateway, "/v1/restore")
        (root / "a").write_bytes(b"a")
        driver = self.driver()
        self.assertEqual(driver.call("copy", root / "a", "wisconsin:ckpt/a", WAIT_S)[0], 0)
        body, = gateway.wait_for("POST", "/v1/jobs")
        body.pop("submission_id")
        self.assertEqual(body, {"sources": ["ckpt:a"], "destination": "wisconsin:ckpt/a", "class": "staging", "patience": "command"})
        self.assertEqual(driver.call("restore", "run", root / "back", WAIT_S)[0], 0)
        self.assertEqual(driver.call("restore", "any:ckpt/run", "ckpt:back", WAIT_S, 7)[0], 0)
        first, second = gateway.wait_for("POST", "/v1/restore", 2)
        self.assertEqual(first, {"series": "run", "dst": "ckpt:back", "step": "latest", "fallback": False, "patience": "command"})
        self.assertEqual(second, {"from": "any:ckpt/run", "dst": "ckpt:back", "step": 7, "fallback": True, "include": ["model.safetensors"], "patience": "command"})

    def test_a_job_that_failed_tells_its_own_code_and_time_that_is_up_is_a_deadline(self):
        gateway = self.gateway(self.root())
        self.takes(gateway, "/v1/jobs")
        driver = self.driver()
        gateway.jobs["j1"] = {"id": "j1", "state": "failed", "error": {"code": "dest_full", "detail": "no room"}}
        self.assertEqual(driver.call("copy", "ckpt:a", "wisconsin:ckpt/a", WAIT_S), (7, "dest_full", "no room"))
        gateway.jobs["j1"] = {"id": "j1", "state": "running"}
        self.assertEqual(driver.call("copy", "ckpt:a", "wisconsin:ckpt/a", 0.05)[:2], (11, "deadline"))

    def test_blocking_calls_tell_that_nobody_answers(self):
        self.assertEqual(self.driver().call("copy", "ckpt:a", "wisconsin:ckpt/a", WAIT_S)[:2], (4, "daemon_unreachable"))

    def test_submit_and_cancel_at_the_gateway_in_the_inbox_and_in_the_queue(self):
        root = self.root_with_inbox()
        driver = self.driver()
        driver.call("submit", root / "a", "wisconsin:ckpt/a", "mine")
        self.assertEqual(driver.call("wait", STORED, WAIT_S)[0], 0)
        self.assertTrue((root / ".tideway/inbox/mine.json").exists())
        self.assertEqual(driver.call("cancel")[0], 0)
        self.assertEqual((os.listdir(root / ".tideway/inbox"), driver.call("wait", PUBLISHED, 1)[:2]), ([], (1, "cancelled")))
        driver.call("submit", "ckpt:a", "wisconsin:ckpt/a")
        self.assertEqual(driver.call("flush", 0.05)[0], 11)
        self.assertEqual((driver.call("cancel")[0], driver.counts()["waiting"]), (0, 0))
        gateway = self.gateway(root)
        gateway.jobs["j1"] = {"id": "j1", "state": "running"}
        gateway.answers["POST /v1/jobs"] = lambda request, body: request.reply(201, {"id": "j1"})
        driver.call("submit", "ckpt:b", "wisconsin:ckpt/b")
        self.assertEqual(driver.call("flush", WAIT_S)[0], 0)
        self.assertEqual((driver.call("cancel")[0], gateway.jobs["j1"]["state"]), (0, "cancelled"))
        self.assertEqual(driver.call("wait", PUBLISHED, WAIT_S)[:2], (1, "cancelled"))

    def test_iterations_are_reported_behind_each_other(self):
        gateway = self.gateway(self.root())
        gateway.answers["POST /v1/phase"] = lambda request, body: request.reply(204, None)
        driver = self.driver()
        for _ in range(20):  # iterations that are answered late are not told again
            late = driver.counts()["unanswered"]
            gateway.asked.clear()
            self.assertEqual(driver.call("iteration", "llm7", 0.25)[0], 0)
            self.assertEqual(driver.call("iteration", "llm7", 0.5)[0], 0)
            self.assertEqual(driver.call("flush", WAIT_S)[0], 0)
            if driver.counts()["unanswered"] == late:
                break
        self.assertEqual([body for how, where, body in gateway.asked if (how, where) == ("POST", "/v1/phase")], [{"training": "llm7", "kind": "iteration", "duration_us": us} for us in (250_000, 500_000)])

    def test_arguments_that_are_wrong_are_told_at_once(self):
        driver = self.driver()
        for words in (("replicate", "/a", "nowhere"), ("iteration", "llm7", "nan"), ("submit", "a", "wisconsin:ckpt/a", "a/b")):
            self.assertEqual(driver.call(*words)[:2], (2, "usage"), words)
        self.assertEqual(driver.call("close", 0)[0], 0)
        self.assertEqual(driver.call("iteration", "llm7", 1)[:2], (2, "usage"))  # the client is NULL now

    def test_a_structure_of_an_earlier_version_is_read_as_far_as_it_goes(self):
        gateway = self.gateway(self.root())
        self.takes(gateway, "/v1/jobs")
        driver = self.driver()
        self.assertEqual(driver.call("short", "ckpt:a", "wisconsin:ckpt/a")[0], 0)
        self.assertNotIn("class", gateway.wait_for("POST", "/v1/jobs")[0])

    def test_a_forked_child_is_refused(self):
        self.assertEqual(self.driver().call("fork")[0], 1)

    def test_disabled_calls_do_nothing(self):
        self.setenv("TIDEWAY_DISABLE", "1")
        gateway = self.gateway(self.root())
        driver = self.driver()
        self.assertEqual(driver.call("replicate", "/nonexistent", TO)[0], 0)
        self.assertEqual((driver.call("state")[0], driver.call("copy", "a", "b", 1)[0], driver.call("wait", PUBLISHED, 1)[0]), (DISABLED, 0, 0))
        self.assertEqual(gateway.asked, [])


class Installed(ClientCase):
    def run_it(self, *words, **options):
        done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, **options)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def test_the_example_is_built_against_the_installed_library_and_runs(self):
        prefix = self.folder / "usr"
        self.run_it("cmake", "--install", BUILD, "--component", "libtideway", "--prefix", prefix)
        found = next(prefix.glob("lib*/**/tideway.pc")).parent
        environment = {**os.environ, "PKG_CONFIG_PATH": str(found), "LD_LIBRARY_PATH": str(found.parent)}
        flags = self.run_it("pkg-config", "--cflags", "--libs", "tideway", env=environment).split()
        trainer = self.folder / "trainer"
        self.run_it(os.environ.get("CC", "cc"), *os.environ.get("CFLAGS", "").split(), "-Wall", "-Wextra", "-Werror", REPOSITORY / "examples/c/trainer.c", *flags, "-o", trainer)
        self.assertIn("libtideway.so.0", self.run_it("readelf", "-d", trainer))
        root = self.root()
        gateway = self.gateway(root)
        self.takes(gateway)
        gateway.answers["POST /v1/phase"] = lambda request, body: request.reply(204, None)
        gateway.answers["POST /v1/checkpoints/j1/complete"] = lambda request, body: request.reply(202, {})
        said = self.run_it(trainer, root / "c", TO, env=environment)
        self.assertIn("step 6 is published", said)
        told = dict.fromkeys(body["path"] for _, where, body in gateway.asked if where == "/v1/checkpoints")  # again after a late answer
        self.assertEqual(list(told), [f"ckpt:c/step-{step}" for step in (2, 4, 6)])

    def test_the_library_shows_its_own_names_only(self):
        library, = {path.resolve() for path in BUILD.glob("src/client/libtideway.so")}
        names = [line.split()[-1] for line in self.run_it("nm", "-D", "--defined-only", library).splitlines()]
        self.assertEqual([name for name in names if not name.split("@")[0].startswith(("tideway_", "TIDEWAY_"))], [])
        self.assertIn("tideway_submit@@TIDEWAY_0.1", names)
        self.assertIn("tideway_phase_begin@@TIDEWAY_0.1", names)


if __name__ == "__main__":
    unittest.main()
