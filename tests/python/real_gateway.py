#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The package against real gateways, as tests/e2e/python_test.sh starts them. Arguments: the root here, the one of wisconsin."""
import logging
import os
import pathlib
import random
import shutil
import subprocess
import sys
import threading
import time
import unittest

from support import WAIT_S

try:
    import fsspec
except ImportError:
    fsspec = None
import killed_trainer
import tideway
from tideway import checkpoints, jobs, notes
from tideway.connection import Gateway

if fsspec is not None:
    fsspec.register_implementation("tideway", "tideway.fsspec.TidewayFileSystem")
KILLS = 8  # of trainers
HERE, THERE = (pathlib.Path(argument) for argument in sys.argv[1:3])


def set_rate(bits):
    """Of the whole gateway, in bits per second; None: no limit."""
    Gateway().ask("PATCH", "/v1/rate", {"rate_bits": bits})


class Jobs(unittest.TestCase):
    def slow_job(self, name):
        """A job that takes seconds, so that it can be met while it runs."""
        set_rate(20_000_000)
        self.addCleanup(set_rate, None)
        (HERE / name).write_bytes(os.urandom(8_000_000))
        return jobs.Job(Gateway().ask("POST", "/v1/jobs", {"sources": [f"data:{name}"], "destination": f"wisconsin:data/{name}", "compress": "off"}))

    def gets_going(self, job):
        """Until bytes have crossed: pausing a job that is only about to begin is another matter."""
        ends = time.monotonic() + WAIT_S
        while job.refresh().fields.get("progress", {}).get("packets_sent", 0) == 0 and time.monotonic() < ends:
            time.sleep(0.02)

    def test_a_tree_goes_there_and_back(self):
        (HERE / "tree").mkdir()
        (HERE / "tree/a").write_bytes(os.urandom(100_000))
        job = tideway.copy(HERE / "tree", "wisconsin:data/tree", job_class="checkpoint", timeout=WAIT_S)
        self.assertEqual((job.state, job.fields["spec"]["patience"]), ("published", "command"))
        self.assertEqual((THERE / "tree/a").read_bytes(), (HERE / "tree/a").read_bytes())
        tideway.copy("wisconsin:data/tree", HERE / "back", timeout=WAIT_S)
        self.assertEqual((HERE / "back/a").read_bytes(), (HERE / "tree/a").read_bytes())

    def test_the_events_of_a_job_tell_its_life_and_end_with_it(self):
        job = self.slow_job("told")
        states = []
        for event in job.events():
            self.assertEqual(event["job"]["id"], job.id)
            if event["event"] == "state":
                states.append((int(event["id"]), event["job"]["state"]))
            if states[-1:] and states[-1][1] == "running":
                job.cancel()
        self.assertEqual(states, sorted(states))
        self.assertEqual((states[0][1], states[-1][1], job.state), ("queued", "cancelled", "cancelled"))

    def test_pause_holds_a_job_until_resume_and_cancel_ends_it(self):
        job = self.slow_job("slow")
        self.gets_going(job)
        job.pause()
        time.sleep(0.3)  # the other side has let go by then
        self.assertEqual(job.refresh().state, "paused")
        job.resume()
        self.assertIn(job.refresh().state, ("queued", "running"))
        job.cancel()
        with self.assertRaises(tideway.TidewayError) as raised:
            job.wait(WAIT_S)
        self.assertEqual(raised.exception.code, "cancelled")
        self.assertFalse((THERE / "slow").exists())

    def test_time_that_is_up_is_a_deadline(self):
        job = self.slow_job("late")
        with self.assertRaises(tideway.TidewayError) as raised:
            job.wait(0.2)
        self.assertEqual(raised.exception.code, "deadline")
        job.cancel()

    def test_errors_carry_the_gateways_codes(self):
        job = tideway.copy(HERE / "nothing", "wisconsin:data/nothing", wait=False)
        for expected, call in (("source_missing", lambda: job.wait(WAIT_S)),
                               ("usage", lambda: tideway.copy("data:x", "wisconsin:data/x", compress="lots")),
                               ("usage", lambda: jobs.Job({"id": "ffffffff"}).refresh()),
                               ("unsupported", lambda: tideway.copy("data:x", "wisconsin:data/x", labels={"run": "7"}))):
            with self.assertRaises(tideway.TidewayError) as raised:
                call()
            self.assertEqual(raised.exception.code, expected, raised.exception)


def knows(method, path, body=None):
    """Whether the gateway has that path at all."""
    try:
        Gateway().ask(method, path, body)
    except tideway.TidewayError as trouble:
        return "there is no path" not in trouble.detail
    return True


class Checkpoints(unittest.TestCase):
    def setUp(self):
        if not knows("GET", "/v1/checkpoints"):
            self.skipTest("this gateway takes no checkpoints")

    def checkpoint(self, run, step):
        path = HERE / f"runs/{run}/step-{step}"
        path.mkdir(parents=True)
        for i in range(3):
            (path / f"__{i}_0.distcp").write_bytes(os.urandom(1_500_000))
        (path / ".metadata").write_bytes(b"m")
        return path

    def files(self, path):
        return {file.name: file.read_bytes() for file in path.iterdir() if not file.name.startswith(".tideway")}

    def test_a_checkpoint_goes_there_from_its_pin_and_comes_back(self):
        path = self.checkpoint("there", 7)
        before = self.files(path)
        ticket = tideway.replicate_checkpoint(path, to="wisconsin:data/runs/there", rpo="30m")
        self.assertTrue(ticket.wait("accepted", WAIT_S))
        shutil.rmtree(path)
        self.assertTrue(ticket.wait("published", WAIT_S))
        self.assertEqual(self.files(THERE / "runs/there/step-7"), before)
        self.assertEqual(self.files(tideway.restore("runs/there", HERE / "restored", timeout=WAIT_S)), before)
        self.assertEqual(self.files(tideway.restore("any:data/runs/there", HERE / "restored2", step=7, timeout=WAIT_S)), before)
        ends = time.monotonic() + WAIT_S
        while (HERE / ".tideway/pins" / ticket.submission_id).exists() and time.monotonic() < ends:
            time.sleep(0.02)
        self.assertFalse((HERE / ".tideway/pins" / ticket.submission_id).exists())

    def test_one_comes_back_into_a_container_that_has_the_root_at_another_path(self):
        if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0:
            self.skipTest("needs root, and a mount namespace")
        path = self.checkpoint("mounted", 7)
        ticket = tideway.replicate_checkpoint(path, to="wisconsin:data/runs/mounted")
        self.assertTrue(ticket.wait("published", WAIT_S))
        mounted = HERE.parent / "mounted"
        mounted.mkdir()
        words = f"mount --bind '{HERE}' '{mounted}' && '{sys.executable}' -m tideway restore --timeout {WAIT_S} runs/mounted '{mounted}/restored-mounted'"
        said = subprocess.run(["unshare", "-m", "sh", "-c", words], capture_output=True, text=True, check=False, timeout=2 * WAIT_S,
                              env={**os.environ, "PYTHONPATH": str(pathlib.Path(tideway.__file__).parents[1])})
        self.assertEqual((said.returncode, said.stdout.strip()), (0, f"{mounted}/restored-mounted"), said.stderr)
        self.assertEqual(self.files(HERE / "restored-mounted"), self.files(path))

    def test_links_and_empty_directories_arrive_from_a_pin_and_what_a_link_led_to(self):
        path = self.checkpoint("linked", 7)
        (path / "newest").symlink_to("__2_0.distcp")
        (path / "below/empty").mkdir(parents=True)
        os.chmod(path, 0o755)
        os.utime(path / "below", (1_000_000_000, 1_000_000_000))
        current = path.parent / "current"
        current.symlink_to(path.name)
        ticket = tideway.replicate_checkpoint(current, to="wisconsin:data/runs/linked")
        self.assertTrue(ticket.wait("accepted", WAIT_S))
        shutil.rmtree(path)
        self.assertTrue(ticket.wait("published", WAIT_S))
        there = THERE / "runs/linked/step-7"
        self.assertEqual((os.readlink(there / "newest"), os.listdir(there / "below/empty")), ("__2_0.distcp", []))
        self.assertEqual((there.stat().st_mode & 0o7777, (there / "below").stat().st_mtime), (0o775, 1_000_000_000))

    def test_shards_of_a_clock_that_is_ahead_arrive_where_the_adapter_saw_the_marker_come_last(self):
        path = self.checkpoint("ahead", 7)
        ahead = time.time() + 3600
        os.utime(path / "__1_0.distcp", (ahead, ahead))
        ticket = checkpoints.hand_over(path, checkpoints.checked("wisconsin:data/runs/ahead", format="dcp"), checkpoints.Hook(is_last=lambda: True))
        self.assertTrue(ticket.wait("published", WAIT_S))
        self.assertEqual(self.files(THERE / "runs/ahead/step-7"), self.files(path))

    def test_whoever_looks_all_the_time_sees_whole_checkpoints_only_while_trainers_are_killed(self):
        there = THERE / "runs/killed"
        seen, broken, is_over = set(), [], threading.Event()

        def look():
            while not is_over.wait(0.001):
                for name in os.listdir(there) if there.exists() else ():
                    if name in seen or name.startswith("."):
                        continue
                    seen.add(name)
                    if self.files(there / name) != killed_trainer.files_of(int(name[5:])):
                        broken.append(name)
        looker = threading.Thread(target=look)
        looker.start()
        chance = random.Random(7)
        step = 1
        try:
            for _ in range(KILLS):
                trainer = subprocess.Popen([sys.executable, killed_trainer.__file__, str(HERE / "runs/killed"), str(step)], stdout=subprocess.PIPE, text=True)
                trainer.stdout.readline()
                time.sleep(chance.uniform(0.0, 0.3))
                trainer.kill()
                step += 2 + len(trainer.communicate()[0].split())
            last = HERE / f"runs/killed/step-{step}"
            last.mkdir(parents=True)
            for name, content in killed_trainer.files_of(step).items():
                (last / name).write_bytes(content)
            self.assertTrue(tideway.replicate_checkpoint(last, to="wisconsin:data/runs/killed").wait("published", WAIT_S))
            ends = time.monotonic() + WAIT_S
            while last.name not in seen and time.monotonic() < ends:
                time.sleep(0.001)
        finally:
            is_over.set()
            looker.join()
        self.assertEqual(broken, [])
        self.assertGreater(len(seen), 1)  # newer ones replace those that wait, and some trainers die before they hand over

    def test_a_request_in_the_inbox_is_found_and_answered(self):
        socket = os.environ["TIDEWAY_API"]
        os.environ["TIDEWAY_API"] = "/nonexistent"
        try:
            ticket = tideway.replicate_checkpoint(self.checkpoint("away", 8), to="wisconsin:data/runs/away")
            self.assertTrue(ticket.wait("stored", WAIT_S))
        finally:
            os.environ["TIDEWAY_API"] = socket
        self.assertTrue(ticket.wait("published", WAIT_S))
        self.assertTrue((THERE / "runs/away/step-8/.metadata").is_file())

    def test_so_is_a_job_whose_submitter_never_heard_what_the_root_is_called(self):
        (HERE / "left").write_bytes(b"left")
        socket = os.environ["TIDEWAY_API"]
        os.environ["TIDEWAY_API"] = "/nonexistent"
        try:
            ticket = tideway.submit({"sources": [HERE / "left"], "destination": "wisconsin:data/left"})
            self.assertTrue(ticket.wait("stored", WAIT_S))
        finally:
            os.environ["TIDEWAY_API"] = socket
        self.assertTrue(ticket.wait("published", WAIT_S))
        self.assertEqual((THERE / "left").read_bytes(), b"left")

    def test_a_stream_arrives_whole_or_as_it_was_written(self):
        with tideway.stream_checkpoint(HERE / "runs/stream/step-9", to="wisconsin:data/runs/stream") as stream:
            before = self.files(self.checkpoint("stream", 9))
        self.assertTrue(stream.ticket.wait("published", WAIT_S))
        self.assertEqual(self.files(THERE / "runs/stream/step-9"), before)


class SpooledFiles(unittest.TestCase):
    def setUp(self):
        if fsspec is None:
            self.skipTest("python3-fsspec is not installed")
        self.fs = fsspec.filesystem("tideway", spool=str(HERE / "spool"), skip_instance_cache=True)

    def write(self, path, content):
        with self.fs.open(path, "wb") as file:
            file.write(content)
            os.fsync(file.fileno())

    def test_what_is_written_is_there_and_a_renamed_marker_comes_with_all_that_is_beside_it(self):
        self.fs.makedirs("wisconsin/data/fs/step-1", exist_ok=True)
        shards = {f"__{i}_0.distcp": os.urandom(300_000) for i in range(4)}
        for name, content in shards.items():
            self.write(f"tideway://wisconsin/data/fs/step-1/{name}", content)
        self.write("wisconsin/data/fs/step-1/.metadata.tmp", b"meta")
        self.fs.rename("wisconsin/data/fs/step-1/.metadata.tmp", "wisconsin/data/fs/step-1/.metadata")
        ends = time.monotonic() + WAIT_S
        while not (THERE / "fs/step-1/.metadata").exists() and time.monotonic() < ends:
            time.sleep(0.001)
        there = {path.name: path.read_bytes() for path in (THERE / "fs/step-1").iterdir() if not path.name.startswith(".tideway")}
        self.assertEqual(there, {**shards, ".metadata": b"meta"})
        self.assertTrue(self.fs.wait_published(WAIT_S))

    def test_what_is_not_here_is_pulled_when_it_is_read(self):
        (THERE / "far").mkdir()
        (THERE / "far/a").write_bytes(b"0123456789")
        self.assertFalse(self.fs.exists("wisconsin/data/far/a"))
        self.assertEqual(self.fs.cat_file("tideway://wisconsin/data/far/a", start=-4), b"6789")
        self.assertTrue(self.fs.exists("wisconsin/data/far/a"))
        with self.assertRaises(tideway.TidewayError) as raised:
            self.fs.open("wisconsin/data/far/none")
        self.assertEqual(raised.exception.code, "source_missing")


RATE_BITS = 100_000_000  # packets that carry no data do not count beside it
BULK_BYTES = 150_000_000  # 12 s at that rate
PACKET_BYTES = 9000  # at most: over loopback


class Phases(unittest.TestCase):
    def sent(self, job):
        return job.refresh().fields.get("progress", {}).get("packets_sent", 0)

    def sent_in(self, job, seconds):
        before = self.sent(job)
        time.sleep(seconds)
        return self.sent(job) - before

    def becomes_fast(self, job):
        """Packets in half a second, once they are half of what the rate allows; a transfer that has just begun, or whose gate has, sends less."""
        ends = time.monotonic() + WAIT_S
        while (sent := self.sent_in(job, 0.5)) < RATE_BITS / 8 / PACKET_BYTES / 4 and time.monotonic() < ends:
            pass
        return sent

    def test_a_burst_on_the_board_holds_back_what_the_gateway_sends(self):
        (HERE / "bulk").write_bytes(os.urandom(BULK_BYTES))
        set_rate(RATE_BITS)
        self.addCleanup(set_rate, None)
        job = jobs.Job(Gateway().ask("POST", "/v1/jobs", {"sources": ["data:bulk"], "destination": "wisconsin:data/bulk", "compress": "off"}))
        self.addCleanup(job.cancel)
        free = self.becomes_fast(job)
        phase = tideway.phase("llm7", ttl=5.0)
        self.addCleanup(phase.close)
        phase.begin()
        time.sleep(0.1)
        held = self.sent_in(job, 0.5)
        phase.end()
        self.assertLess(held, free / 4)
        self.assertGreater(self.becomes_fast(job), 4 * held)

    def test_words_by_the_socket_are_taken(self):
        if not knows("POST", "/v1/phase", {"training": "llm7", "kind": "end"}):
            self.skipTest("this gateway takes no phases by its API")
        before = notes.counts["iteration"]
        tideway.report_iteration(6.0, name="llm7")
        self.assertTrue(tideway.flush(WAIT_S))
        self.assertEqual(notes.counts["iteration"], before)


if __name__ == "__main__":
    logging.getLogger("tideway").setLevel(logging.CRITICAL)
    unittest.main(argv=sys.argv[:1], verbosity=2)
