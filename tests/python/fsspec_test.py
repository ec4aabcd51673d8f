#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The file system tideway:// with the real fsspec of Debian 12, against a fake gateway; e2e.python runs it against real ones."""
import contextlib
import io
import logging
import os
import sys
import threading
import time
import unittest

from support import WAIT_S, Case

try:
    import fsspec
except ImportError:
    print("SKIP: python3-fsspec is not installed: the file system was not run against it")
    sys.exit(77)

import tideway
from tideway import jobs, notes, submissions, tickets
from tideway.fsspec import TidewayFileSystem

logging.getLogger("tideway").setLevel(logging.CRITICAL)


class FileSystem(Case):
    def setUp(self):
        super().setUp()
        self.top = self.root()
        self.own_queue()
        notes.counts.clear()
        for module in (submissions, tickets, jobs):
            self.set_constant(module, "LOOK_MAX_S", 0.005)
        self.fake = self.gateway(self.top)
        self.specs = []

        def take(request, body):
            name = f"j{len(self.specs)}"
            self.specs.append(body)
            self.fake.jobs[name] = {"id": name, "state": "published"}
            request.reply(201, {"id": name, "state": "queued"})
        self.fake.answers["POST /v1/jobs"] = take
        fsspec.register_implementation("tideway", TidewayFileSystem)
        self.fs = fsspec.filesystem("tideway", spool=str(self.top / "spool"), skip_instance_cache=True)

    def sent(self):
        """What has left, without what is the same in all."""
        self.assertTrue(tideway.flush(WAIT_S))
        return [{name: value for name, value in spec.items() if name not in ("class", "submission_id")} for spec in self.specs]

    def write(self, path, content=b"x"):
        with self.fs.open(path, "wb") as file:
            file.write(content)

    def test_a_file_leaves_when_it_is_closed_and_not_before(self):
        file = self.fs.open("tideway://wisconsin/ckpt/run/a", "wb")
        file.write(b"12345")
        file.flush()
        os.fsync(file.fileno())
        self.assertEqual(self.sent(), [])
        file.close()
        file.close()
        self.assertEqual(self.sent(), [{"sources": ["ckpt:spool/wisconsin/ckpt/run/a"], "destination": "wisconsin:ckpt/run/a"}])
        self.assertEqual((self.fs.cat("wisconsin/ckpt/run/a"), self.specs[0]["class"]), (b"12345", "checkpoint"))

    def test_a_marker_is_published_by_its_rename_behind_what_was_written_beside_it(self):
        self.fs.makedirs("wisconsin/ckpt/step-1", exist_ok=True)
        self.write("wisconsin/ckpt/step-1/__0_0.distcp")
        self.write("wisconsin/ckpt/step-1/.metadata.tmp")
        self.write("wisconsin/ckpt/step-2/other")
        self.fs.rename("wisconsin/ckpt/step-1/.metadata.tmp", "wisconsin/ckpt/step-1/.metadata")
        self.assertEqual(self.sent(), [
            {"sources": ["ckpt:spool/wisconsin/ckpt/step-1/__0_0.distcp"], "destination": "wisconsin:ckpt/step-1/__0_0.distcp"},
            {"sources": ["ckpt:spool/wisconsin/ckpt/step-2/other"], "destination": "wisconsin:ckpt/step-2/other"},
            {"sources": ["ckpt:spool/wisconsin/ckpt/step-1"], "destination": "wisconsin:ckpt/step-1", "only": [".metadata", "__0_0.distcp"],
             "publish": "marker", "last": [".metadata"]}])
        self.assertFalse(self.fs.exists("wisconsin/ckpt/step-1/.metadata.tmp"))

    def test_the_marker_waits_until_the_others_are_there(self):
        self.write("wisconsin/ckpt/step-1/a")
        self.fake.wait_for("POST", "/v1/jobs")
        self.fake.jobs["j0"]["state"] = "running"
        self.write("wisconsin/ckpt/step-1/m.tmp")
        self.fs.rename("wisconsin/ckpt/step-1/m.tmp", "wisconsin/ckpt/step-1/m")
        self.assertFalse(tideway.flush(0.05))
        self.assertEqual(len(self.specs), 1)
        self.fake.jobs["j0"]["state"] = "failed"  # then the marker's own job brings it
        self.assertEqual(self.sent()[1]["only"], ["a", "m"])

    def test_an_exception_while_writing_sends_nothing(self):
        with self.assertRaises(KeyError):
            with self.fs.open("wisconsin/ckpt/a", "wb") as file:
                file.write(b"half")
                raise KeyError
        self.assertEqual(self.sent(), [])

    def test_an_exception_that_only_fsspec_or_a_text_file_hears_of_sends_nothing(self):
        spool = {"spool": str(self.top / "spool")}
        opened = (lambda: fsspec.open("tideway://wisconsin/ckpt/a", "wb", **spool), lambda: fsspec.open("tideway://wisconsin/ckpt/b", "w", **spool),
                  lambda: fsspec.open("tideway://wisconsin/ckpt/c.gz", "wb", compression="gzip", **spool),
                  lambda: fsspec.open_files("tideway://wisconsin/ckpt/d*", "wb", num=2, **spool), lambda: self.fs.open("wisconsin/ckpt/e", "w"))
        for open_it in opened:
            with self.assertRaises(KeyError):
                with open_it() as file:
                    one = file[0] if isinstance(file, list) else file
                    one.write("half" if isinstance(one, io.TextIOBase) else b"half")
                    raise KeyError
            try:
                raise KeyError
            except KeyError:
                with open_it() as file:
                    try:
                        raise ValueError
                    except ValueError:
                        pass
        self.assertEqual(sorted(spec["destination"][15:] for spec in self.sent()), ["a", "b", "c.gz", "d0", "d1", "e"])
        self.assertEqual(notes.counts["not_sent"], 6)

    def test_a_file_of_a_transaction_that_failed_is_not_committed_with_the_others(self):
        with self.fs.transaction:
            self.write("wisconsin/ckpt/a")
            with contextlib.suppress(KeyError):
                with self.fs.open("wisconsin/ckpt/b", "w") as file:
                    file.write("half")
                    raise KeyError
        self.assertEqual([spec["destination"] for spec in self.sent()], ["wisconsin:ckpt/a"])
        self.assertEqual(os.listdir(self.top / "spool/wisconsin/ckpt"), ["a"])

    def test_what_several_threads_write_is_all_remembered(self):
        class Slow(TidewayFileSystem):
            @property
            def tickets(self):
                found = self._tickets
                time.sleep(0.002)
                return found

            @tickets.setter
            def tickets(self, value):
                self._tickets = value
        fs = Slow(str(self.top / "spool"), skip_instance_cache=True)

        def write(thread):
            for i in range(3):
                with fs.open(f"wisconsin/ckpt/step-1/{thread}-{i}", "wb") as file:
                    file.write(b"x")
        threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_S)
        self.assertEqual((len(fs.tickets), len(fs._written["wisconsin/ckpt/step-1"])), (24, 24))

    def test_a_marker_behind_more_than_is_remembered_takes_what_lies_beside_it(self):
        self.set_constant(tideway.fsspec, "WRITTEN_MAX", 3)
        for name in ("a", "b", "c", "d", "late.tmp"):
            self.write(f"wisconsin/ckpt/step-1/{name}")
        self.assertLessEqual(len(self.fs._written["wisconsin/ckpt/step-1"]), 3)
        self.write("wisconsin/ckpt/step-1/m.tmp")
        self.fs.rename("wisconsin/ckpt/step-1/m.tmp", "wisconsin/ckpt/step-1/m")
        self.assertEqual(self.sent()[-1]["only"], ["a", "b", "c", "d", "m"])

    def test_a_transaction_shows_and_sends_all_or_nothing(self):
        with self.fs.transaction:
            self.write("wisconsin/ckpt/a")
            self.write("wisconsin/ckpt/b")
            self.assertFalse(self.fs.exists("wisconsin/ckpt/a"))
        self.assertEqual([spec["destination"] for spec in self.sent()], ["wisconsin:ckpt/a", "wisconsin:ckpt/b"])
        with self.assertRaises(KeyError):
            with self.fs.transaction:
                self.write("wisconsin/ckpt/c")
                raise KeyError
        self.assertEqual((len(self.sent()), self.fs.ls("wisconsin/ckpt", detail=False)), (2, ["wisconsin/ckpt/a", "wisconsin/ckpt/b"]))

    def test_text_appending_and_exclusive_modes(self):
        with self.fs.open("wisconsin/ckpt/t", "w", encoding="utf-8") as file:
            file.write("grüße\n")
        with self.fs.open("wisconsin/ckpt/t", "ab") as file:
            file.write(b"more")
        with self.fs.open("wisconsin/ckpt/t", "r", encoding="utf-8") as file:
            self.assertEqual(file.read(), "grüße\nmore")
        with self.assertRaises(FileExistsError):
            self.fs.open("wisconsin/ckpt/t", "xb")
        with self.assertRaises(ValueError):
            self.fs.open("wisconsin/ckpt/t", "r+b")

    def test_what_fsspec_makes_of_the_basic_calls_works_on_the_spool(self):
        fs = self.fs
        fs.pipe({"wisconsin/ckpt/d/a": b"0123456789", "wisconsin/ckpt/d/e/b": b"bb"})
        self.assertEqual(fs.find("wisconsin/ckpt"), ["wisconsin/ckpt/d/a", "wisconsin/ckpt/d/e/b"])
        self.assertEqual(fs.glob("wisconsin/ckpt/d/*"), ["wisconsin/ckpt/d/a", "wisconsin/ckpt/d/e"])
        self.assertEqual((fs.isdir("wisconsin/ckpt/d"), fs.isfile("wisconsin/ckpt/d/a"), fs.size("wisconsin/ckpt/d/a")), (True, True, 10))
        self.assertEqual((fs.cat_file("wisconsin/ckpt/d/a", 2, -3), fs.cat_ranges(["wisconsin/ckpt/d/a"] * 2, [0, 5], [2, 7])), (b"23456", [b"01", b"56"]))
        self.assertEqual(fs.info("tideway://wisconsin/ckpt/d/a")["name"], "wisconsin/ckpt/d/a")
        self.assertLess(fs.created("wisconsin/ckpt/d/a").timestamp() - fs.modified("wisconsin/ckpt/d/a").timestamp(), 10)
        fs.copy("wisconsin/ckpt/d/a", "wisconsin/ckpt/d/c")
        self.assertEqual(fs.cat("wisconsin/ckpt/d/c"), b"0123456789")
        (self.folder / "local").write_bytes(b"put")
        fs.put_file(str(self.folder / "local"), "wisconsin/ckpt/d/p")
        fs.get_file("wisconsin/ckpt/d/p", str(self.folder / "got"))
        self.assertEqual((self.folder / "got").read_bytes(), b"put")
        fs.rm("wisconsin/ckpt/d/e", recursive=True)
        fs.rm("wisconsin/ckpt/d/c")
        self.assertEqual(fs.ls("wisconsin/ckpt/d", detail=False), ["wisconsin/ckpt/d/a", "wisconsin/ckpt/d/p"])
        with fsspec.open("tideway://wisconsin/ckpt/d/a", spool=str(self.top / "spool")) as file:
            self.assertEqual(file.read(3), b"012")

    def test_what_is_not_here_is_pulled_once(self):
        here = self.top / "spool/wisconsin/data/far/a"

        def take(request, body):
            self.specs.append(body)
            here.write_bytes(b"far away")
            request.reply(201, {"id": "p1", "state": "published"})
        self.fake.answers["POST /v1/jobs"] = take
        for _ in range(2):
            self.assertEqual(self.fs.cat("wisconsin/data/far/a"), b"far away")
        self.assertEqual([(spec["sources"], spec["destination"]) for spec in self.specs], [(["wisconsin:data/far/a"], "ckpt:spool/wisconsin/data/far/a")])

    def test_paths_that_lead_nowhere_or_out_of_the_spool_are_refused(self):
        for path in ("wisconsin", "wisconsin/../../../etc/passwd", "a/b/../c"):
            with self.assertRaises(ValueError, msg=path):
                self.fs.open(path, "wb")
        with self.assertRaisesRegex(ValueError, "FSSPEC_TIDEWAY_SPOOL"):
            TidewayFileSystem(skip_instance_cache=True)
        with self.assertRaises(FileNotFoundError):
            self.fs.ls("wisconsin/none")

    def test_writing_needs_no_gateway(self):
        self.setenv("TIDEWAY_API", str(self.folder / "nobody.sock"))
        self.write("wisconsin/ckpt/a")
        self.assertTrue(tideway.flush(WAIT_S))
        self.assertEqual([ticket.state for ticket in self.fs.tickets], ["stored"])


if __name__ == "__main__":
    unittest.main()
