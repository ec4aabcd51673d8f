#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The rules of completeness, against the cases that the gateway's rules are tested with, and against files that were written here."""
import base64
import io
import json
import unittest
import zipfile

from support import REPOSITORY, Case

from tideway import layouts
from tideway.looks import look_at

FIXTURES = REPOSITORY / "tests/fixtures/checkpoints"


class SharedCases(unittest.TestCase):
    def check(self, case):
        files = {file["path"]: layouts.File(file["size"], file["mtime_ns"]) for file in case["tree"]}
        pieces = {(piece["path"], piece["part"]): piece["text"].encode() if "text" in piece else base64.b64decode(piece["base64"])
                  for piece in case.get("pieces", [])}
        quiet = case.get("quiet", {"source": "looking", "unchanged_s": 3, "settle_s": 2})
        expect = case["expect"]
        if expect.get("reason") == "changing":
            return  # waiting for quiet is the queue's, not the rule's
        try:
            found = layouts.assess(layouts.Listing(case["name"], files), lambda path, part: pieces.get((path, part)), case.get("format", "auto"),
                                   world=case.get("world", 0), by_hook=quiet["source"] == "hook")
        except layouts.Incomplete as incomplete:
            return self.assertEqual((expect["state"], expect.get("reason")), ("incomplete", incomplete.reason), incomplete)
        except ValueError as ambiguous:
            self.assertEqual(expect["state"], "ambiguous")
            return self.assertTrue(all(name in str(ambiguous) for name in expect["formats"]), ambiguous)
        self.assertEqual((expect["state"], expect.get("format"), expect.get("pointers")), ("complete", found.format, list(found.pointers)))

    @unittest.skipUnless(FIXTURES.is_dir(), "tests/fixtures/checkpoints is not there")
    def test_the_package_judges_as_the_gateway_does(self):
        cases = [(path.name, case) for path in sorted(FIXTURES.glob("*.json")) for case in json.loads(path.read_text())["cases"]]
        self.assertGreater(len(cases), 40)
        for name, case in cases:
            with self.subTest(f"{name}: {case['about']}"):
                self.check(case)


class WrittenHere(Case):
    def judge(self, path, **options):
        try:
            return layouts.assess(*look_at(str(path)), **options).format
        except layouts.Incomplete as incomplete:
            return incomplete.reason

    def zip_bytes(self):
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w") as archive:
            archive.writestr("archive/data.pkl", b"x" * 3000)
        return held.getvalue()

    def test_a_file_of_torch_save_that_is_cut_anywhere_is_not_complete(self):
        whole = self.zip_bytes()
        path = self.folder / "model.pt"
        for length in range(0, len(whole), 97):
            path.write_bytes(whole[:length])
            self.assertEqual(self.judge(path), "cut", length)
        path.write_bytes(whole)
        self.assertEqual(self.judge(path), "torch")

    def test_a_file_beyond_four_gibibytes_has_its_end_records_in_zip64(self):
        path = self.folder / "large.pt"
        size = (5 << 30) + 1
        directory = 46
        end64 = b"PK\x06\x06" + (44).to_bytes(8, "little") + bytes(28) + directory.to_bytes(8, "little") + (size - 98 - directory).to_bytes(8, "little")
        tail = end64 + b"PK\x06\x07" + bytes(4) + (size - 98).to_bytes(8, "little") + (1).to_bytes(4, "little") + b"PK\x05\x06" + b"\xff" * 16 + bytes(2)
        with open(path, "wb") as file:
            file.truncate(size - len(tail))  # sparse
            file.seek(0, io.SEEK_END)
            file.write(tail)
        self.assertEqual(self.judge(path), "torch")
        with open(path, "ab") as file:
            file.truncate(size - 1)
        self.assertEqual(self.judge(path), "cut")

    def safetensors(self, header, data):
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + data

    def test_safetensors_must_be_as_long_as_the_header_says(self):
        path = self.folder / "model.safetensors"
        whole = self.safetensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "__metadata__": {"x": "y"}}, b"12345678")
        path.write_bytes(whole)
        self.assertEqual(self.judge(path), "safetensors")
        for hostile in (whole[:-1], whole + b"x", b"", b"\xff" * 8, (1 << 62).to_bytes(8, "little") + b"{}", self.safetensors(b"[" * 5000, b""),
                        self.safetensors({"a": {"data_offsets": [8, 0]}}, b""), self.safetensors({"a": {"data_offsets": [0, True]}}, b"1"),
                        self.safetensors({"a": {"data_offsets": "08"}}, b""), self.safetensors(b'{"a": ', b"")):
            path.write_bytes(hostile)
            self.assertEqual(self.judge(path), "cut", hostile[:40])

    def test_steps_are_read_from_names(self):
        for name, step in (("iter_0009000", 9000), ("checkpoint-500", 500), ("global_step7", 7), ("epoch=3-step=1200.ckpt", 1200), ("9000", 9000),
                           ("release", None), ("step_12-v1.ckpt", 12)):
            self.assertEqual(layouts.step_in(name), step, name)

    def test_a_format_that_does_not_exist_is_named_with_those_that_do(self):
        with self.assertRaisesRegex(ValueError, "pickle.*megatron"):
            layouts.assess(layouts.Listing("x", {}), lambda *_: None, "pickle")


if __name__ == "__main__":
    unittest.main()
