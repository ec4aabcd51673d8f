#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that each rule of scripts/check_style.py fires where it should and keeps silent beside it."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
import check_style  # noqa: E402

SPDX = "// SPDX-License-Identifier: Apache-2.0\n"
MODULES = ("tideway_module(base LAYER 0\n  SOURCES a.cc)\ntideway_module(wire LAYER 2 PURE DEPS base SOURCES a.cc)\n"
           "tideway_module(flow LAYER 3 PURE DEPS wire\n  SOURCES a.cc)\ntideway_module(engine LAYER 5 DEPS flow)\n")


class Tree(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.write("src/CMakeLists.txt", MODULES)

    def write(self, name, text):
        path = pathlib.Path(self.folder.name) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def findings(self):
        return check_style.Checker(self.folder.name).run()

    def expect(self, place, words):
        found = self.findings()
        self.assertTrue(any(line.startswith(place + ": ") and words in line for line in found), found)

    def expect_silence(self):
        self.assertEqual(self.findings(), [])


class Layers(Tree):
    def test_including_upward_is_found_with_its_line(self):
        self.write("src/wire/a.cc", SPDX + '#include "flow/b.h"\n')
        self.expect("src/wire/a.cc:2", "wire (layer 2) includes flow (layer 3)")

    def test_a_dependency_of_a_dependency_is_allowed(self):
        self.write("src/flow/a.cc", SPDX + '#include "base/b.h"\n#include "flow/c.h"\n')
        self.expect_silence()

    def test_code_outside_every_module_is_found(self):
        self.write("src/stray/a.cc", SPDX)
        self.expect("src/CMakeLists.txt:1", "src/stray is no tideway_module")


class Purity(Tree):
    def test_a_pure_module_sees_no_thread_file_or_clock(self):
        self.write("src/flow/a.cc", SPDX + "#include <atomic>\n#include <sys/socket.h>\nauto t = std::chrono::steady_clock::now();\n")
        for line, words in ((2, "<atomic>"), (3, "<sys/socket.h>"), (4, "steady_clock")):
            self.expect(f"src/flow/a.cc:{line}", words)

    def test_comments_and_strings_are_not_code(self):
        self.write("src/flow/a.cc", SPDX + '// getenv(\nconst char* a = "getenv(\\"x\\")"; /* throw */\n')
        self.expect_silence()

    def test_mutexes_and_threads_stand_where_they_may(self):
        self.write("src/engine/a.cc", SPDX + "#include <mutex>\nstd::thread a;\n")
        self.write("src/base/a.cc", SPDX + "std::jthread a;\n")
        self.assertEqual(len(self.findings()), 2)
        self.expect("src/engine/a.cc:2", "<mutex> below session")
        self.expect("src/base/a.cc:2", "a thread is started here")


class Homes(Tree):
    def test_a_library_outside_its_home_is_found(self):
        self.write("src/base/a.cc", SPDX + "#include <zstd.h>\n#include <toml++/toml.h>\n")
        self.expect("src/base/a.cc:2", "<zstd.h>")
        self.expect("src/base/a.cc:3", "<toml++/toml.h>")

    def test_home_and_tests_may_include_it(self):
        self.write("src/base/log.cc", SPDX + "#include <spdlog/spdlog.h>\n")
        self.write("tests/unit/crypto/a.cc", SPDX + "#include <openssl/evp.h>\n")
        self.expect_silence()


class Calls(Tree):
    def test_banned_calls_are_found_with_their_replacement(self):
        for call, fix in (("std::rand()", "Random"), ("sprintf(a, b)", "snprintf"), ("atoi(a)", "from_chars"),
                          ("system(a)", "no shell"), ("throw a", "Error"), ("using namespace std", "name what")):
            self.write("src/base/a.cc", SPDX + f"void f() {{ {call}; }}\n")
            self.expect("src/base/a.cc:2", fix)

    def test_lookalikes_are_not_found(self):
        self.write("src/base/a.cc", SPDX + "void f() { a.rand(1); file_system(2); snprintf(b, c); static_assert(true);"
                   " using namespace std::chrono_literals; }\n")
        self.expect_silence()

    def test_exceptions_stay_in_the_files_that_wrap(self):
        text = SPDX + "void f() { try { g(); } catch (const E& e) { } }\n"
        self.write("apps/tideway/main.cc", text)
        self.expect_silence()
        self.write("src/base/a.cc", text)
        self.expect("src/base/a.cc:2", "exceptions")

    def test_sleeping_tests_are_found_outside_e2e(self):
        text = SPDX + "void f() { std::this_thread::sleep_for(a); }\n"
        self.write("tests/e2e/a.cc", text)
        self.expect_silence()
        self.write("tests/unit/base/a.cc", text)
        self.expect("tests/unit/base/a.cc:2", "a test sleeps")


class Sizes(Tree):
    def test_files_and_functions_at_the_limit_are_fine(self):
        self.write("src/base/a.cc", SPDX + "void f() {\n" + "  g();\n" * 68 + "}\n" + "\n" * 529)
        self.expect_silence()

    def test_one_line_more_is_found(self):
        self.write("src/base/a.cc", SPDX + "namespace a {\nclass B {\n B() : c_{1}, d_{2} {\n" + "  g();\n" * 69 + " }\n};\n}\n")
        self.expect("src/base/a.cc:4", "a function of 71 lines")
        self.write("src/base/a.cc", SPDX + "\n" * 600)
        self.expect("src/base/a.cc:601", "601 lines")

    def test_a_long_class_is_no_long_function(self):
        self.write("src/base/a.cc", SPDX + "class A final : B<C(D)> {\n" + "  void f() { if (a) { b(); } }\n" * 80 + "};\n")
        self.expect_silence()

    def test_a_template_is_a_function_like_others(self):
        self.write("src/base/a.cc", SPDX + "template <typename T>\nvoid f(T t) {\n" + "  g();\n" * 70 + "}\n")
        self.expect("src/base/a.cc:2", "a function of 73 lines")


class Files(Tree):
    def test_headers_need_a_reader_and_a_head_comment(self):
        self.write("src/base/a.h", SPDX + "#pragma once\n")
        self.expect("src/base/a.h:2", "no head comment")
        self.expect("src/base/a.h:1", "nobody includes")
        self.write("src/base/a.h", SPDX + "// What it is for.\n#pragma once\n")
        self.write("src/base/b.cc", SPDX + '#include "base/a.h"\n')
        self.expect_silence()

    def test_the_licence_stands_first_or_after_the_interpreter(self):
        self.write("scripts/a.sh", "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n")
        self.expect_silence()
        self.write("src/base/a.cc", "// A file.\n" + SPDX)
        self.expect("src/base/a.cc:1", "no licence")

    def test_a_test_without_expectation_is_found(self):
        self.write("tests/unit/base/a_test.cc", SPDX + "TEST(A, B) { EXPECT_TRUE(f()); }\nTEST_F(A, C) {\n  f();\n}\n")
        found = self.findings()
        self.assertEqual(len(found), 1)
        self.assertTrue(found[0].startswith("tests/unit/base/a_test.cc:3: "), found)

    def test_dead_links_and_machine_paths_are_found(self):
        self.write("docs/a.md", "[good](../src/CMakeLists.txt) [web](https://example.org/x) [here](#a)\n[bad](b.md)\n")
        self.expect("docs/a.md:2", "a dead link to b.md")
        self.assertEqual(len(self.findings()), 1)
        self.write("docs/a.md", "see /" + "work/tree\n")
        self.expect("docs/a.md:1", "a path of one machine")


class ConfigKeys(Tree):
    def write_all(self, example, reference):
        self.write("src/config/known_keys.cc", SPDX + '    {"tls", "crl", kString, kOptional},\n    {"jobs", "store", kString, kLater},\n')
        self.write("src/CMakeLists.txt", MODULES + "tideway_module(config LAYER 8 SOURCES a.cc)\n")
        self.write("config/tideway.example.toml", example)
        self.write("docs/configuration.md", reference)

    def test_keys_that_are_named_are_fine_also_those_that_are_off(self):
        self.write_all('[tls]\n# crl = "a"\n[jobs]\nstore = "b"\n', "| `[tls]` | `crl` |\n")
        self.expect_silence()

    def test_a_key_that_is_not_named_is_found(self):
        self.write_all('[site]\ncrl = "a"\n[jobs]\nstore = "b"\n', "| `[tls]` | `cert` |\n")
        self.expect("src/config/known_keys.cc:2", "crl of [tls] is not in config/tideway.example.toml")
        self.expect("src/config/known_keys.cc:2", "crl of [tls] is not in docs/configuration.md")


class Faults(Tree):
    def rows(self, *tests):
        self.write("tests/unit/a_test.cc", SPDX + "TEST(Disk, IsFull) { EXPECT_TRUE(true); }\n")
        self.write("tests/e2e/kill_test.sh", "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n")
        self.write("docs/texts/faults.txt", "dest_full 7\ndest_io 7\n")
        self.write("docs/faults.md", "".join(f"| S{i:02} | a | b | – | {test} |\n" for i, test in enumerate(tests)))

    def test_a_row_whose_tests_are_there_or_owed_is_fine(self):
        self.rows("`Disk.IsFull`, `e2e.kill`", "not yet", "not here: no quotas")
        self.expect_silence()

    def test_a_test_that_is_not_there_and_a_row_without_one_are_found(self):
        self.rows("`Disk.IsFull`, `Disk.IsEmpty`", "–")
        self.expect("docs/faults.md:1", "there is no test Disk.IsEmpty")
        self.expect("docs/faults.md:2", "S01 has no test")

    def test_a_code_that_is_not_there_is_found(self):
        self.rows("not yet")
        self.write("docs/faults.md", "| S00 | a | b | `dest_full`, `dest_fool` | not yet |\n")
        self.expect("docs/faults.md:1", "there is no code dest_fool")

    def test_any_document_names_tests_that_are_there(self):
        self.rows("`Disk.IsFull`")
        self.write("docs/a.md", "shown by `Disk.IsFull`, `e2e.kill`, `Disk.IsEmpty` and `e2e.revive`\n")
        self.expect("docs/a.md:1", "there is no test Disk.IsEmpty")
        self.expect("docs/a.md:1", "there is no test e2e.revive")

    def test_a_number_is_used_once(self):
        self.rows("not yet")
        self.write("docs/faults.md", "| S00 | a | b | – | not yet |\n" * 2)
        self.expect("docs/faults.md:2", "S00 is there twice")


if __name__ == "__main__":
    unittest.main()
