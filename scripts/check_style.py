#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what the compiler does not: layers, purity, homes of libraries, banned calls, sizes, tests, documents.

Prints `file:line: what is wrong; what to do` for each finding and exits with 1 when there are any.
Usage: check_style.py [ROOT]      ROOT is the source tree, by default the one this script lies in.
"""
import pathlib
import re
import subprocess
import sys

LINES_PER_FILE = 600
LINES_PER_FUNCTION = 70

CPP = (".h", ".cc", ".c")
LIBRARY = "client"  # libtideway: beside the layers, loaded into trainers
MUTEX_LAYER = 6  # session; below it threads meet in rings only
THREAD_MODULES = ("engine", "daemon", LIBRARY)

PURE_HEADERS = re.compile(r"<(thread|mutex|shared_mutex|condition_variable|atomic|future|fstream|filesystem|unistd\.h"
                          r"|fcntl\.h|sys/[\w/]+\.h|rte_\w+\.h)>")
PURE_CALLS = re.compile(r"\b(clock_gettime|gettimeofday|getenv|secure_getenv|(?:steady|system|high_resolution)_clock"
                        r"|std::random_device|getrandom)\b")

# Where the headers of a library may stand; tests/ and perf/ may use what they measure or compare with.
HOMES = [(re.compile(header), re.compile(home), home.replace("\\", "")) for header, home in [
    (r"openssl/", r"src/crypto/"),
    (r"intel-ipsec-mb\.h", r"src/crypto/ipsec_mb_aead\.cc"),
    (r"rte_\w+\.h", r"src/packet_io/dpdk_"),
    (r"liburing\.h", r"src/storage/uring_queue\.cc"),
    (r"zstd(_errors)?\.h", r"src/codec/"),
    (r"xxhash\.h", r"src/digest/"),
    (r"google/protobuf/|.*\.pb\.h", r"src/messages/.*\.cc"),
    (r"nlohmann/", r"src/(api/|client/|checkpoint/index_json\.cc)"),
    (r"sqlite3\.h", r"src/store/sqlite_job_store\.cc"),
    (r"libpq-fe\.h", r"src/store/postgres_job_store\.cc"),
    (r"microhttpd\.h", r"src/http/server\.cc"),
    (r"toml\+\+/", r"src/config/document\.cc"),
    (r"CLI/", r"apps/"),
    (r"spdlog/", r"src/base/log\.cc"),
    (r"gtest/|gmock/|rapidcheck", r"tests/"),
    (r"benchmark/", r"perf/"),
]]

BANNED = [(re.compile(pattern), fix) for pattern, fix in [
    (r"(?<![\w:.>])(std::)?s?rand\(", "take a tideway::Random (base/random.h) as an argument"),
    (r"\b(strcpy|strcat|stpcpy)\(", "use std::string, or std::memcpy with a checked length"),
    (r"\b(sprintf|vsprintf)\(", "use snprintf or std::to_string"),
    (r"(?<![\w.>])gets\(", "use std::getline"),
    (r"\b(atoi|atol|atoll|atof)\(", "use std::from_chars, which tells a failure"),
    (r"(?<![\w.>])(std::)?system\(|\bpopen\(", "no shell: call what you need, or posix_spawn in a program"),
    (r"\busing namespace std\s*;", "name what you use"),
    (r"\bthrow\b", "return an Error"),
    (r"(?<![\w.>])assert\(", "use TIDEWAY_CHECK, which stays on"),
    (r"\bvolatile\b(?! sig_atomic_t)", "use std::atomic between threads"),
]]
TRY = re.compile(r"\b(try|catch)\b\s*[{(]")
# The files that wrap a library which throws.
TRY_HOMES = re.compile(r"apps/|src/api/|src/client/boundary\.h|src/checkpoint/index_json\.cc|src/base/log\.cc|tests/|perf/")
SLEEP = re.compile(r"\b(sleep_for|sleep_until|usleep|nanosleep)\(|(?<![\w.>])sleep\(")
FOREIGN_WORDS = re.compile("/" + r"work/|/home/\w+/|/root/")

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|(<[^>]+>))', re.M)
MODULE = re.compile(r"^tideway_module\((\w+)([^)]*)\)", re.M)
TEST_CASE = re.compile(r"^(?:TYPED_)?TEST(?:_F|_P)?\(|^RC_GTEST_(?:FIXTURE_)?PROP\(", re.M)
TEST_NAME = re.compile(r"^(?:TYPED_)?TEST(?:_F|_P)?\((\w+),\s*(\w+)\)|^RC_GTEST_(?:FIXTURE_)?PROP\((\w+),\s*(\w+)", re.M)
FAULTS = "docs/faults.md"
FAULT_CODES = "docs/texts/faults.txt"
FAULT_ROW = re.compile(r"^\| ([A-Z]\d\d) \|.*\| ([^|]*) \| ([^|]*) \|$")
NAMED_TEST = re.compile(r"`([A-Z]\w+\.[A-Z]\w+|e2e\.\w+)`")  # in a document
EXAMPLE_TESTS = ("Suite.Case", "e2e.name")
EXPECTATION = re.compile(r"\b(EXPECT|ASSERT|RC)_\w+|\bFAIL\(|\bADD_FAILURE\w*\(|\b(expect|assert|check|verify)\w*\(")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
KEY_TABLE, KEY_EXAMPLE, KEY_REFERENCE = "src/config/known_keys.cc", "config/tideway.example.toml", "docs/configuration.md"
KEY_ROW = re.compile(r'    \{"([\w.*]+)", "(\w+)", k\w+, (k\w+)\},')


def files_below(root):
    """Tracked and new files, without what .gitignore names; a tree without git is walked."""
    listing = subprocess.run(["git", "-C", str(root), "ls-files", "-co", "--exclude-standard", "-z"],
                             capture_output=True, text=True)
    if listing.returncode == 0 and listing.stdout:
        names = sorted(set(filter(None, listing.stdout.split("\0"))))
    else:
        names = sorted(str(p.relative_to(root)) for p in root.rglob("*") if "build" not in p.relative_to(root).parts)
    return [name for name in names if (root / name).is_file() and not (root / name).is_symlink()]


def without_comments_and_strings(text):
    """The same text with comments, strings and character literals blanked; lines and columns stay."""
    token = re.compile(r'R"(?P<tag>[^()\\\s]*)\(.*?\)(?P=tag)"|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"'
                       r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", re.S)
    return token.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)


def functions_in(code):
    """(first line, last line, body) of each outermost function of blanked code, by matching braces."""
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda found: re.sub(r"[^\n]", " ", found.group()), code, flags=re.M)
    found, depth, outer, head_from = [], 0, None, 0  # outer: the depth at which the current function stands
    for at, char in enumerate(code):
        if char == "{":
            head = code[head_from:at].strip()
            plain = re.sub(r"^template\s*<.*?>\s*(?=[\w:]+\b[^<>]*$)", "", head, flags=re.S)
            is_scope = re.match(r"(inline\s+)?(namespace|enum|union|class|struct)\b|extern\b[^()]*$", plain)
            if outer is None and "(" in plain and not is_scope and "=" not in plain.split("(")[0]:
                outer, body_from, start = depth, at, code.index(head, head_from)
            depth += 1
            head_from = at + 1
        elif char == "}":
            depth -= 1
            head_from = at + 1
            if depth == outer:
                outer = None
                if re.match(r"\s*[,{]", code[at + 1:at + 80]):  # a member initialiser: `: a_{1}, b_{2} {`
                    head_from = start
                else:
                    found.append((code.count("\n", 0, start) + 1, code.count("\n", 0, at) + 1, code[body_from:at]))
        elif char == ";":
            head_from = at + 1
    return found


class Checker:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.names = files_below(self.root)
        self.findings = []
        self.modules = self.read_modules()
        self.included = set()
        self.tests = set()  # as ctest calls them
        self.named_tests = []  # file, line, name

    def report(self, name, line, what, fix):
        self.findings.append(f"{name}:{line}: {what}; {fix}")

    def read_modules(self):
        """name -> (layer, is pure, direct dependencies), from the tideway_module lines."""
        lists = self.root / "src/CMakeLists.txt"
        modules = {}
        for name, rest in MODULE.findall(lists.read_text() if lists.exists() else ""):
            words = rest.split()
            deps, in_deps = [], False
            for word in words:
                if word in ("LAYER", "PURE", "DEPS", "SOURCES", "LIBS"):
                    in_deps = word == "DEPS"
                elif in_deps:
                    deps.append(word)
            layer = int(words[words.index("LAYER") + 1]) if "LAYER" in words else 0
            modules[name] = (layer, "PURE" in words, deps)
        return modules

    def reachable(self, module):
        """The modules that `module` may include: itself and its dependencies, through and through."""
        seen, todo = set(), [module]
        while todo:
            name = todo.pop()
            if name not in seen and name in self.modules:
                seen.add(name)
                todo.extend(self.modules[name][2])
        return seen

    def check_includes(self, name, text):
        parts = name.split("/")
        module = parts[1] if parts[0] == "src" and len(parts) > 2 else None
        is_free = parts[0] in ("tests", "perf")
        for found in INCLUDE.finditer(text):
            line = text.count("\n", 0, found.start(1 if found.group(1) else 2)) + 1
            quoted, angled = found.group(1), found.group(2)
            header = quoted or angled[1:-1]
            self.included.add((header, name))
            for pattern, home, shown in HOMES:
                if pattern.match(header) and not home.match(name) and not is_free:
                    self.report(name, line, f"<{header}> is included outside {shown}", "use the module that wraps it")
            other = quoted.split("/")[0] if quoted and "/" in quoted else None
            if module in self.modules:
                layer, is_pure, _ = self.modules[module]
                if other in self.modules and other not in self.reachable(module):
                    self.report(name, line, f"{module} (layer {layer}) includes {other} (layer "
                                f"{self.modules[other][0]}), which is not among its DEPS",
                                "depend downward only, or move what both need one layer down")
                if is_pure and angled and PURE_HEADERS.match(angled):
                    self.report(name, line, f"{angled} in the pure module {module}", "take it as an argument")
                if layer < MUTEX_LAYER and angled in ("<mutex>", "<shared_mutex>", "<condition_variable>"):
                    self.report(name, line, f"{angled} below session", "pass whole values through a ring")

    def check_code(self, name, code):
        parts = name.split("/")
        module = parts[1] if parts[0] == "src" and len(parts) > 2 else None
        is_pure = module in self.modules and self.modules[module][1]
        for number, line in enumerate(code.split("\n"), 1):
            if line.lstrip().startswith("#"):
                continue
            for pattern, fix in BANNED:
                found = pattern.search(line)
                if found:
                    self.report(name, number, f"{found.group().strip('( ')} is not used here", fix)
            if TRY.search(line) and not TRY_HOMES.match(name):
                self.report(name, number, "exceptions end where the library that throws is wrapped",
                            "return a Result, or add the wrapping file to TRY_HOMES with a reason")
            if SLEEP.search(line) and parts[0] == "tests" and parts[1] != "e2e":
                self.report(name, number, "a test sleeps", "use virtual time, or wait for the event itself")
            found = PURE_CALLS.search(line)
            if is_pure and found:
                self.report(name, number, f"{found.group()} in the pure module {module}", "take `now` as an argument")
            if module and module not in THREAD_MODULES and re.search(r"\bstd::j?thread\b(?!::)", line):
                self.report(name, number, "a thread is started here", f"only {', '.join(THREAD_MODULES)} do")

    def check_cpp(self, name, text):
        code = without_comments_and_strings(text)
        self.check_includes(name, text)
        self.check_code(name, code)
        for first, last, _ in functions_in(code):
            if last - first + 1 > LINES_PER_FUNCTION:
                self.report(name, first, f"a function of {last - first + 1} lines", f"split it below "
                            f"{LINES_PER_FUNCTION + 1}")
        if name.startswith("tests/"):
            for suite, case, prop_suite, prop in TEST_NAME.findall(code):
                self.tests.add(f"{suite or prop_suite}.{case or prop}")
            starts = {code.count("\n", 0, found.start()) + 1 for found in TEST_CASE.finditer(code)}
            for first, _, body in functions_in(code):
                if first in starts and not EXPECTATION.search(body):
                    self.report(name, first, "a test that expects nothing", "state the claim with EXPECT or ASSERT")
        lines = text.split("\n")
        if name.endswith(".h") and (len(lines) < 2 or not lines[1].startswith("//")):
            self.report(name, 2, "no head comment", "say what the file is for and which thread runs it")

    def check_size_and_licence(self, name, text):
        lines = text.split("\n")
        if len(lines) - 1 > LINES_PER_FILE:
            self.report(name, len(lines) - 1, f"{len(lines) - 1} lines", f"split the file below {LINES_PER_FILE + 1}")
        at = 1 if lines[0].startswith("#!") and len(lines) > 1 else 0
        if "SPDX-License-Identifier: Apache-2.0" not in lines[at]:
            self.report(name, at + 1, "no licence", "begin with SPDX-License-Identifier: Apache-2.0")

    def check_links(self, name, text):
        for number, line in enumerate(text.split("\n"), 1):
            for found in LINK.finditer(re.sub(r"`[^`]*`", "", line)):
                target = (found.group(1) or found.group(2)).split("#")[0]
                if not target or re.match(r"\w+:", target):
                    continue
                if not ((self.root / name).parent / target).exists():
                    self.report(name, number, f"a dead link to {target}", "correct or remove it")

    def check_named_tests(self):
        """Documents name tests that exist."""
        for kind, form in (("e2e", r"tests/e2e/(\w+)_test\.sh"), ("fuzz", r"tests/fuzz/(\w+)_fuzz\.cc")):
            self.tests.update(f"{kind}.{found.group(1)}" for found in map(re.compile(form).fullmatch, self.names) if found)
        for name, number, test in self.named_tests:
            if test not in self.tests and test not in EXAMPLE_TESTS:
                self.report(name, number, f"there is no test {test}", "name the one that shows it")

    def check_faults(self):
        """Each row of the catalogue has codes that exist, and names a test, or says that there is none."""
        path = self.root / FAULTS
        if not path.exists():
            return
        codes = {line.split()[0] for line in (self.root / FAULT_CODES).read_text(encoding="utf-8").splitlines() if line}
        seen = set()
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            row = FAULT_ROW.match(line)
            if not row:
                continue
            if row.group(1) in seen:
                self.report(FAULTS, number, f"{row.group(1)} is there twice", "give the new row the next number")
            seen.add(row.group(1))
            for code in sorted(set(re.findall(r"`([^`]+)`", row.group(2))) - codes):
                self.report(FAULTS, number, f"there is no code {code}", f"name one of {FAULT_CODES}")
            named = re.findall(r"`([^`]+)`", row.group(3))
            for test in sorted(set(named) - self.tests):
                if not NAMED_TEST.fullmatch(f"`{test}`"):  # those are looked at wherever they stand
                    self.report(FAULTS, number, f"there is no test {test}", "name the one that proves the row, or say: not yet")
            if not named and not row.group(3).startswith(("not yet", "not here")):
                self.report(FAULTS, number, f"{row.group(1)} has no test", "name one, or say: not yet")

    def check_orphans(self):
        """Headers below src/ and include/ that no other file includes."""
        used = {(header, by) for header, by in self.included}
        for name in self.names:
            top, _, rest = name.partition("/")
            if not name.endswith(".h") or top not in ("src", "include"):
                continue
            if not any(header == rest and by != name for header, by in used):
                self.report(name, 1, "a header that nobody includes", "use it or delete it")

    def check_modules(self):
        with_code = {name.split("/")[1] for name in self.names if name.startswith("src/") and name.endswith(".cc")}
        for module in sorted(with_code - self.modules.keys() - {LIBRARY}):
            self.report("src/CMakeLists.txt", 1, f"src/{module} is no tideway_module", "add it with its layer")

    def check_config_keys(self):
        """Each key of the table stands in the example, and unless it is for later in the reference."""
        table, example, reference = (self.root / name for name in (KEY_TABLE, KEY_EXAMPLE, KEY_REFERENCE))
        if not table.exists():
            return
        keys, section = set(), ""
        for line in example.read_text(encoding="utf-8").split("\n"):
            found = re.match(r"(?:# )?(?:\[+([\w.-]+)\]+|([a-z_]+) = )", line)
            if found and found.group(1):
                section = re.sub(r"^class\..*", "class.*", found.group(1))
            elif found:
                keys.add((section, found.group(2)))
        words = set(re.findall(r"`([a-z_]+)`", reference.read_text(encoding="utf-8")))
        for number, line in enumerate(table.read_text(encoding="utf-8").split("\n"), 1):
            found = KEY_ROW.match(line)
            if not found:
                continue
            section, key, use = found.groups()
            if (section, key) not in keys:
                self.report(KEY_TABLE, number, f"{key} of [{section}] is not in {KEY_EXAMPLE}", "add a line there, off if it must be")
            if key not in words and use != "kLater":
                self.report(KEY_TABLE, number, f"{key} of [{section}] is not in {KEY_REFERENCE}", "add a row there")

    def run(self):
        for name in self.names:
            try:
                text = (self.root / name).read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue  # a test vector or a fuzz seed
            if name.startswith("tests/fuzz/corpus/"):
                continue
            if name.endswith(CPP):
                self.check_cpp(name, text)
            if name.endswith(CPP + (".proto", ".py", ".sh")):
                self.check_size_and_licence(name, text)
            if name.endswith(".md"):
                self.check_links(name, text)
                for number, line in enumerate(text.split("\n"), 1):
                    self.named_tests += [(name, number, found.group(1)) for found in NAMED_TEST.finditer(line)]
            for number, line in enumerate(text.split("\n"), 1):
                found = FOREIGN_WORDS.search(line)
                if found and name != "scripts/check_style.py":
                    self.report(name, number, f"{found.group()} is a path of one machine", "write a general one")
        self.check_orphans()
        self.check_config_keys()
        self.check_modules()
        self.check_named_tests()
        self.check_faults()
        return self.findings


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent
    checker = Checker(root)
    findings = checker.run()
    print("\n".join(findings) if findings else f"check_style: {len(checker.names)} files, nothing to say")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
