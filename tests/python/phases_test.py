#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Phases: the board as the C header reads it, the beacon with the vector of docs/scheduling.md, and neither."""
import errno
import json
import logging
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from support import REPOSITORY, WAIT_S, Case

import tideway
from tideway import beacon, board, notes, outbox, phases

logging.getLogger("tideway").setLevel(logging.CRITICAL)
KEY = bytes(range(32))


def setUpModule():
    global reader, _reader_folder
    _reader_folder = tempfile.TemporaryDirectory(prefix="twpy")
    reader = os.path.join(_reader_folder.name, "board_reader")
    subprocess.run(["cc", "-I", str(REPOSITORY / "include"), "-o", reader, str(REPOSITORY / "tests/python/board_reader.c")], check=True)


def tearDownModule():
    _reader_folder.cleanup()


class Phases(Case):
    def setUp(self):
        super().setUp()
        self.set_constant(phases, "_phases", {})
        self.own_queue()
        notes.counts.clear()
        self.addCleanup(lambda: [phase.close() for phase in phases._phases.values()])  # before the constants come back
        self.board = self.folder / "phase.board"

    def make_board(self, size=board.SLOTS * board.SLOT_SIZE):
        with open(self.board, "wb") as file:
            file.truncate(size)
        self.setenv("TIDEWAY_BOARD", str(self.board))

    def look(self):
        """What the C header sees: slots in use, and which one it gets."""
        lines = subprocess.run([reader, self.board], check=True, capture_output=True, text=True).stdout.split("\n")
        return [json.loads(line) for line in lines if line.startswith("{")], int(lines[-2])

    def listen(self):
        """A gateway's beacon port, and a key."""
        port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(port.close)
        port.bind(("127.0.0.1", 0))
        port.settimeout(WAIT_S)
        (self.folder / "key").write_text(KEY.hex() + "\n")
        self.setenv("TIDEWAY_BEACON", f"127.0.0.1:{port.getsockname()[1]}")
        self.setenv("TIDEWAY_BEACON_KEY_FILE", str(self.folder / "key"))
        return port


class OnTheBoard(Phases):
    def test_names_are_hashed_as_in_c(self):
        for training, site in (("llm7", "wisconsin"), ("", "x"), ("grüße", "a" * 300)):
            shown = subprocess.run([reader, "--hash", training, site], check=True, capture_output=True, text=True).stdout
            self.assertEqual(shown.split(), [str(board.training_id(training)), str(board.site_id(site))])
        self.assertEqual(board.site_id(""), 0)

    def test_c_calls_on_a_board_that_is_not_there_or_none_do_nothing(self):
        (self.folder / "short").write_bytes(b"no board")
        for name, error in (("missing", errno.ENOENT), ("short", errno.EPROTO)):
            shown = subprocess.run([reader, "--unopened", str(self.folder / name)], check=True, capture_output=True, text=True).stdout
            self.assertEqual(int(shown), error)

    def test_c_reads_a_burst_from_its_begin_to_its_end(self):
        self.make_board()
        phase = tideway.phase("llm7", dst="wisconsin", ttl=0.9)
        before = time.monotonic_ns()
        phase.begin(bytes=40_000_000)
        (slot,), free = self.look()
        self.assertTrue(before <= slot["begin_ns"] <= time.monotonic_ns())
        self.assertEqual((slot["slot"], free, slot["seq"] % 2, slot["state"], slot["training"]), (0, 1, 0, 1, board.training_id("llm7")))
        self.assertEqual((slot["bytes"], slot["ttl_us"], slot["dst"], slot["pid"]), (40_000_000, 900_000, board.site_id("wisconsin"), os.getpid()))
        phase.end()
        (slot,), _ = self.look()
        self.assertTrue(slot["state"] == 0 and slot["begin_ns"] < slot["end_ns"] <= time.monotonic_ns())

    def test_a_prediction_is_a_begin_ahead_of_now_in_an_idle_slot(self):
        self.make_board()
        tideway.phase("llm7").predict(5.0, duration=0.4, period=6.0, jitter=0.005)
        (slot,), _ = self.look()
        self.assertGreater(slot["begin_ns"], time.monotonic_ns())
        self.assertEqual((slot["state"], slot["duration_us"], slot["period_us"], slot["jitter_us"]), (0, 400_000, 6_000_000, 5_000))

    def test_a_prediction_in_a_burst_leaves_its_begin_alone_and_is_said_with_its_end(self):
        self.make_board()
        phase = tideway.phase("llm7")
        phase.begin()
        phase.predict(5.0)
        (slot,), _ = self.look()
        self.assertTrue(slot["state"] == 1 and slot["begin_ns"] <= time.monotonic_ns() < slot["end_ns"])
        phase.end()
        (slot,), _ = self.look()
        self.assertTrue(slot["state"] == 0 and slot["end_ns"] <= time.monotonic_ns() < slot["begin_ns"])

    def test_what_a_prediction_says_is_no_time_to_live_of_a_burst(self):
        self.make_board()
        phase = tideway.phase("llm7")
        phase.predict(5.0, duration=0.4, period=6.0, jitter=0.005)
        phase.begin()
        phase.predict(5.0, duration=0.4, period=6.0, jitter=0.005)
        (slot,), _ = self.look()
        self.assertEqual((slot["state"], slot["duration_us"], slot["jitter_us"], slot["ttl_us"]), (1, 0, 0, 0))

    def test_a_slot_that_is_given_back_is_the_next_ones(self):
        self.make_board()
        first, second = tideway.phase("one"), tideway.phase("two")
        first.begin()
        second.begin()
        self.assertEqual(self.look()[1], 2)
        first.close()
        slots, free = self.look()
        self.assertEqual(([slot["training"] for slot in slots], free), ([board.training_id("two")], 0))
        first.begin()
        self.assertEqual(self.look()[1], 2)

    def test_whoever_died_in_the_middle_of_a_store_left_nothing_behind(self):
        self.make_board()
        with open(self.board, "r+b") as file:
            file.write((7).to_bytes(4, "little") + (1).to_bytes(4, "little") + b"\xff" * 56)
        with tideway.phase("llm7"):
            pass
        (slot,), _ = self.look()
        self.assertEqual((slot["slot"], slot["seq"] % 2, slot["state"], slot["bytes"], slot["jitter_us"]), (0, 0, 0, 0, 0))

    def test_a_forked_child_has_no_slot_until_it_begins_itself(self):
        self.make_board()
        phase = tideway.phase("llm7")
        phase.begin()
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            phase.end()  # of the parent's burst: nothing
            os.write(write, json.dumps(self.look()).encode())
            phase.begin()
            os.write(write, b"\n" + json.dumps(self.look()).encode())
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as answers:
            ((own,), _), (both, _) = map(json.loads, answers)
        os.waitpid(child, 0)
        self.assertEqual((own["state"], own["pid"]), (1, os.getpid()))
        self.assertEqual([slot["pid"] for slot in both], [os.getpid(), child])
        self.assertEqual(self.look()[1], 1)  # the child's slot is free, ours is not

    def test_a_decorated_function_announces_also_when_it_raises(self):
        self.make_board()
        seen = []

        @tideway.phase("llm7")
        def exchange(value):
            seen.append(self.look()[0][0]["state"])
            raise KeyError(value)
        with self.assertRaises(KeyError):
            exchange(3)
        self.assertEqual((seen, self.look()[0][0]["state"], exchange.__name__), ([1], 0, "exchange"))

    def test_the_same_arguments_are_the_same_slot(self):
        self.make_board()
        self.setenv("TIDEWAY_TRAINING", "llm7")
        for _ in range(100):
            with tideway.phase():
                pass
        self.assertEqual(len(self.look()[0]), 1)
        self.assertIs(tideway.phase(), tideway.phase("llm7"))

    def test_an_iteration_of_a_training_with_a_board_is_told_by_the_api(self):
        self.make_board()
        gateway = self.gateway()
        gateway.answers["POST /v1/phase"] = lambda request, _: request.reply(204, None)
        tideway.report_iteration(6.25, name="llm7")
        self.assertEqual(gateway.wait_for("POST", "/v1/phase"), [{"training": "llm7", "kind": "iteration", "duration_us": 6_250_000}])


class ByBeacon(Phases):
    def test_the_vector_of_the_documentation(self):
        text = (REPOSITORY / "docs/scheduling.md").read_text()
        vector = bytes.fromhex("".join(re.findall(r"^    ([0-9a-f]{96})$", text, re.M)))
        line = beacon.BeaconLine([], beacon.Key(1, KEY), "llm7", "wisconsin", 0.9)
        line.source = 0x1122334455667788
        self.assertEqual(line.seal(beacon.BEGIN, 17 * 10**17, 0, 40_000_000, 400_000, 1_000_000, 5_000), vector)

    def test_each_announcement_comes_twice_under_one_number(self):
        port = self.listen()
        self.setenv("RANK", "1")
        self.setenv("WORLD_SIZE", "2")
        phase = tideway.phase("llm7", ttl=0.9)
        said = [(beacon.BEGIN, 7, 0, phase.begin, (7,)), (beacon.END, 0, 0, phase.end, ()), (beacon.PREDICT, 0, 3 * 10**9, phase.predict, (3.0,))]
        for sequence, (kind, size, ahead, call, arguments) in enumerate(said, 1):
            call(*arguments)
            first, second = port.recv(200), port.recv(200)
            self.assertEqual(first, second)
            fields = beacon._FIELDS.unpack(first[:80])
            self.assertEqual(fields[:5] + fields[6:11], (0x54445742, 1, kind, 1, 1, sequence, board.training_id("llm7"), 0, 1, 2))
            self.assertEqual((fields[12] - fields[11], fields[13], fields[17]), (ahead, size, 900_000))
            self.assertLess(abs(time.time_ns() - fields[11]), 2 * 10**9)

    def test_the_thread_is_woken_by_the_first_word_and_looks_for_the_others_itself(self):
        port = self.listen()
        woken = []
        tick = outbox.tick
        self.set_constant(outbox, "tick", lambda work: (woken.append(work), tick(work)))
        phase = tideway.phase("llm7")
        for _ in range(3):
            phase.begin()
            self.assertEqual(port.recv(200), port.recv(200))
        self.assertEqual(len(woken), 1)
        phase.end()
        phase.close()  # what was said last is said again before the line is gone
        self.assertEqual(port.recv(200), port.recv(200))

    def test_a_line_that_is_silent_for_long_is_watched_no_more(self):
        self.set_constant(beacon, "REPEATS_FOR_S", 0.0)
        line = beacon.BeaconLine([("127.0.0.1", 9)], beacon.Key(1, KEY), "llm7", "", 0.0)
        self.addCleanup(line.forget)
        line._repeats.append(b"word")
        self.assertFalse(line.repeat())

    def test_a_word_from_a_shell_comes_twice_before_its_process_ends(self):
        port = self.listen()
        said = subprocess.run([sys.executable, "-m", "tideway", "phase", "end", "--training", "llm7"], env={**os.environ, "PYTHONPATH": str(REPOSITORY / "python")})
        self.assertEqual(said.returncode, 0)
        port.settimeout(0.0)
        first = port.recv(200)
        self.assertEqual((first, beacon._FIELDS.unpack(first[:80])[2]), (port.recv(200), beacon.END))

    def test_an_iteration_goes_the_same_way(self):
        port = self.listen()
        self.setenv("TIDEWAY_TRAINING", "llm7")
        tideway.report_iteration(6.25)
        fields = beacon._FIELDS.unpack(port.recv(200)[:80])
        self.assertEqual((fields[2], fields[14]), (beacon.ITERATION, 6_250_000))

    def test_a_name_is_looked_up_by_the_thread_and_holds_up_no_call(self):
        port = self.listen()
        self.setenv("TIDEWAY_BEACON", f"gateway.test:{port.getsockname()[1]}")
        may_answer, threads, look_up = threading.Event(), [], socket.getaddrinfo

        def slow(host, *arguments, flags=0, **words):
            if flags & socket.AI_NUMERICHOST:
                return look_up(host, *arguments, flags=flags, **words)
            threads.append(threading.current_thread().name)
            may_answer.wait(WAIT_S)
            return look_up("127.0.0.1", *arguments, **words)
        self.set_constant(socket, "getaddrinfo", slow)
        phase = tideway.phase("llm7")
        phase.begin()
        phase.end()
        self.assertEqual(type(phase._line).__name__, "_Nowhere")
        may_answer.set()
        self.wait_until(lambda: type(phase._line).__name__ == "BeaconLine")
        phase.begin()
        self.assertEqual((beacon._FIELDS.unpack(port.recv(200)[:80])[2], threads), (beacon.BEGIN, ["tideway"]))

    def test_nobody_at_the_port_is_no_trouble(self):
        self.listen().close()
        phase = tideway.phase("llm7")
        for _ in range(10):
            with phase:
                pass
        self.assertTrue(tideway.flush(WAIT_S))

    def test_keys_are_read_as_the_gateway_reads_them(self):
        path = self.folder / "key"
        for text, expected in ((KEY.hex(), (1, KEY)), (f"7 {KEY.hex()}\n8 {KEY.hex()}\n", (7, KEY))):
            path.write_text(text)
            self.assertEqual(tuple(beacon.read_key(str(path))), expected)
        for text in ("", "\n", "00", f"x {KEY.hex()}", f"256 {KEY.hex()}", KEY.hex() + "00", "zz" * 32):
            path.write_text(text)
            with self.assertRaises(ValueError, msg=text) as raised:
                beacon.read_key(str(path))
            self.assertNotIn(KEY.hex(), str(raised.exception))


class Nowhere(Phases):
    def announce(self):
        phase = tideway.phase("llm7")
        with phase:
            phase.predict(1.0)
        return type(phase._line).__name__

    def test_without_board_and_beacon_nothing_happens_and_it_is_told_once(self):
        for _ in range(5):
            self.assertEqual(self.announce(), "_Nowhere")
        self.assertEqual(notes.counts["phase"], 1)

    def test_a_board_that_comes_later_is_found(self):
        self.set_constant(phases, "RETRY_OPEN_S", 0.0)
        self.assertEqual(self.announce(), "_Nowhere")
        self.make_board()
        self.assertEqual(self.announce(), "BoardSlot")

    def test_a_board_that_is_none_or_is_full_is_as_no_board(self):
        self.make_board(size=100)
        self.assertEqual(self.announce(), "_Nowhere")
        self.make_board()
        slots = [board.BoardSlot(str(self.board), str(i), "", 0.0) for i in range(board.SLOTS)]
        self.assertEqual(self.look()[1], -1)
        phases._phases.clear()
        self.assertEqual(self.announce(), "_Nowhere")
        for slot in slots:
            slot.close()

    def test_a_wrong_key_file_or_target_is_told_and_stops_nothing(self):
        self.listen()
        for name, value in (("TIDEWAY_BEACON_KEY_FILE", "/nonexistent"), ("TIDEWAY_BEACON", "gw:99999"), ("TIDEWAY_BEACON", "")):
            self.setenv(name, value)
            phases._phases.clear()
            self.assertEqual(self.announce(), "_Nowhere")
        self.assertEqual(notes.counts["phase"], 3)

    def test_disabled_and_nameless_phases_do_nothing(self):
        self.make_board()
        with tideway.phase():
            pass
        tideway.report_iteration(1.0)
        self.setenv("TIDEWAY_DISABLE", "1")
        self.assertEqual(self.announce(), "_Nowhere")
        tideway.report_iteration(1.0, name="llm7")
        self.assertEqual(self.look()[0], [])


if __name__ == "__main__":
    unittest.main()
