#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the hooks cost a trainer, in Python and in C: the calls on its own thread, its memory, and its steps with hooks and without.

Each case runs in a process of its own. The gateway is a fake one, in another process: the trainer's side is what is measured. Prints
a table with the limits and writes the result file; exits with 1 when a limit is broken.
"""
import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile

HERE = pathlib.Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parents[2] / "python"), str(HERE.parents[2] / "tests/python")]
import record  # noqa: E402

TO = "wisconsin:ckpt/run"
SHARD = 4 << 20  # bytes; above what a pin copies
LIBRARY = HERE.parents[2] / "build/release/src/client"
PLUGIN = HERE.parents[2] / "build/release/src/nccl/libnccl-profiler-tideway.so"
COMPUTED = bytes(1 << 20)  # hashed between two calls, about a millisecond: as torch does, in C and without the interpreter's lock
CASE_S = 300.0


def spread(samples_ns):
    """Least, median, 99th percentile and largest, in microseconds."""
    ordered = sorted(samples_ns)
    return {"min_us": ordered[0] / 1e3, "median_us": statistics.median(ordered) / 1e3, "p99_us": ordered[int(len(ordered) * 0.99)] / 1e3, "max_us": ordered[-1] / 1e3}


def times_of(call, count, computes=b""):
    """Spreads of the time a call takes, and of the processor's time of its thread, which a busy machine does not change."""
    walls, cpus = [], []
    for _ in range(count):
        hashlib.sha256(computes)
        cpu, begun = time.thread_time_ns(), time.perf_counter_ns()
        call()
        walls.append(time.perf_counter_ns() - begun)
        cpus.append(time.thread_time_ns() - cpu)
    return {**spread(walls), "cpu": spread(cpus)}


def make_checkpoint(root):
    for name in ("inbox", "pins"):
        (root / ".tideway" / name).mkdir(parents=True)
    folder = root / "run/step-7"
    folder.mkdir(parents=True)
    for i in range(4):
        (folder / f"__{i}_0.distcp").write_bytes(os.urandom(SHARD))
    with zipfile.ZipFile(folder / "common.pt", "w") as archive:
        archive.writestr("archive/data.pkl", b"x")
    (folder / ".metadata").write_bytes(b"m")
    (folder / "metadata.json").write_text("{}")
    return folder


@contextlib.contextmanager
def gateway(state, folder, root):
    """up: it answers. down: nobody listens. hung: it takes connections and says nothing."""
    os.environ["TIDEWAY_API"] = str(folder / "api.sock")
    if state == "hung":
        with socket.socket(socket.AF_UNIX) as hung:
            hung.bind(os.environ["TIDEWAY_API"])
            hung.listen(512)
            yield
    elif state == "up":
        child = subprocess.Popen([sys.executable, str(HERE), "--gateway", str(folder), str(root)], stdout=subprocess.PIPE, text=True)
        try:
            child.stdout.readline()
            yield
        finally:
            child.kill()
            child.wait()
    else:
        yield


def serve(folder, root):
    """The fake gateway's process, until it is killed."""
    from support import FakeGateway
    fake = FakeGateway(folder, root)
    fake.answers["POST /v1/checkpoints"] = lambda request, body: request.reply(202, {"id": "c1"})
    fake.answers["POST /v1/phase"] = lambda request, body: request.reply(204, None)
    print("ready", flush=True)
    fake._thread.join()


def save_case(state, count):
    def run(folder):
        import tideway
        path = make_checkpoint(folder / "root")
        with gateway(state, folder, folder / "root"):
            tideway.replicate_checkpoint(path, to=TO)  # the first one starts the thread
            found = times_of(lambda: tideway.replicate_checkpoint(path, to=TO), count, COMPUTED)
            tideway.flush(30.0)
        return found
    return run


def board_case(count):
    def run(folder):
        import tideway
        (folder / "board").write_bytes(bytes(4096))
        os.environ["TIDEWAY_BOARD"] = str(folder / "board")
        phase = tideway.phase("llm7")
        phase.begin()
        pairs = []
        for _ in range(count):
            first = time.perf_counter_ns()
            phase.begin()
            second = time.perf_counter_ns()
            phase.end()
            pairs.append((second - first, time.perf_counter_ns() - second))
        return {"begin": spread([pair[0] for pair in pairs]), "end": spread([pair[1] for pair in pairs]),
                "null": times_of(int, count)}
    return run


def beacon_case(count, calls):
    def run(folder):
        import tideway
        port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        port.bind(("127.0.0.1", 0))
        (folder / "key").write_text("00" * 32)
        os.environ.update(TIDEWAY_BEACON=f"127.0.0.1:{port.getsockname()[1]}", TIDEWAY_BEACON_KEY_FILE=str(folder / "key"), TIDEWAY_BOARD="/nonexistent")
        phase = tideway.phase("llm7")
        phase.begin()
        return {"cold": times_of(phase.begin, count, COMPUTED), "hot": times_of(phase.begin, calls)}
    return run


def built(source, folder, *flags):
    """A program in C, made from a file of this repository."""
    program = folder / pathlib.Path(source).stem
    root = HERE.parents[2]
    subprocess.run(["cc", "-O2", "-std=gnu11", "-I", str(root / "include"), "-I", str(root / "src"), str(root / source), "-o", str(program), *flags], check=True)
    return program


def pairs_of(*words):
    """Of a program that prints two numbers a line: the two columns."""
    lines = subprocess.run([str(word) for word in words], check=True, stdout=subprocess.PIPE, text=True).stdout.split("\n")[:-1]
    return zip(*(map(int, line.split()) for line in lines))


def c_save_case(state, count):
    def run(folder):
        path = make_checkpoint(folder / "root")
        program = built("perf/hook/c_calls.c", folder, "-L", str(LIBRARY), "-ltideway", f"-Wl,-rpath,{LIBRARY}")
        with gateway(state, folder, folder / "root"):
            walls, cpus = pairs_of(program, "save", path, TO, count)
        return {**spread(walls), "cpu": spread(cpus)}
    return run


def c_board_case(count):
    def run(folder):
        (folder / "board").write_bytes(bytes(4096))
        program = built("perf/hook/c_calls.c", folder, "-L", str(LIBRARY), "-ltideway", f"-Wl,-rpath,{LIBRARY}")
        begins, ends = pairs_of(program, "board", folder / "board", count)
        return {"begin": spread(begins), "end": spread(ends)}
    return run


def nccl_case(folder):
    program = built("tests/nccl/fake_host.c", folder, "-rdynamic", "-ldl", "-pthread")
    return json.loads(subprocess.run([str(program), str(PLUGIN), str(folder), "--time"], check=True, stdout=subprocess.PIPE, text=True).stdout)


def resident():
    """(KiB resident, threads)"""
    text = pathlib.Path("/proc/self/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]), int(text.split("Threads:")[1].split()[0])


def memory_case(folder):
    before, threads_before = resident()
    import tideway
    path = make_checkpoint(folder / "root")
    with gateway("up", folder, folder / "root"):
        for _ in range(200):
            tideway.replicate_checkpoint(path, to=TO)
        tideway.flush(30.0)
        after, threads = resident()
    return {"mib": (after - before) / 1024, "threads": threads - threads_before}


def steps_case(steps):
    def run(folder):
        """A step computes and shares nothing. Blocks with the hooks on and off take turns, so that both meet the same machine."""
        import torch
        import tideway
        torch.set_num_threads(1)
        (folder / "board").write_bytes(bytes(4096))
        os.environ["TIDEWAY_BOARD"] = str(folder / "board")
        path = make_checkpoint(folder / "root")
        weight = torch.randn(200, 200, requires_grad=True)
        batch = torch.randn(64, 200)
        phase = tideway.phase("llm7")

        def step(number, is_on):
            cpu, begun = time.process_time_ns(), time.perf_counter_ns()
            (batch @ weight @ weight).square().mean().backward()
            if is_on:
                phase.begin()
                phase.end()
                tideway.report_iteration(0.01, name="llm7")
                if number % 50 == 0:
                    tideway.replicate_checkpoint(path, to=TO)
            weight.grad = None
            return time.perf_counter_ns() - begun, time.process_time_ns() - cpu
        taken = {False: [], True: []}
        with gateway("up", folder, folder / "root"):
            for block in range(steps // 50):
                for is_on in ((False, True) if block % 2 else (True, False)):
                    taken[is_on] += [step(number, is_on) for number in range(50)]
            tideway.flush(30.0)
        found = {}
        for name, is_on in (("off", False), ("on", True)):
            walls, cpus = zip(*taken[is_on])
            found[name] = {"wall_us": statistics.median(walls) / 1e3, "cpu_us": statistics.mean(cpus) / 1e3}
        return found
    return run


def cases(is_quick):
    saves, calls, steps = (200, 20_000, 500) if is_quick else (2_000, 200_000, 5_000)
    of_c = {"C save up": c_save_case("up", saves), "C save down": c_save_case("down", saves), "C save hung": c_save_case("hung", saves), "C board": c_board_case(calls),
            "NCCL": nccl_case}
    return {"save up": save_case("up", saves), "save down": save_case("down", saves), "save hung": save_case("hung", saves),
            "board": board_case(calls), "beacon": beacon_case(saves, calls), "memory": memory_case, "steps": steps_case(steps),
            **(of_c if LIBRARY.is_dir() and PLUGIN.exists() else {})}


def rows_of(found):
    """(what, figure, limit, whether it holds); None: it has no limit, or was left out."""
    def told(one, digits=0):
        return "%.*f µs least, %.*f median, %.*f p99, %.*f max; of the processor %.*f least, %.*f median, %.*f p99" % (
            digits, one["min_us"], digits, one["median_us"], digits, one["p99_us"], digits, one["max_us"], digits, one["cpu"]["min_us"], digits, one["cpu"]["median_us"], digits, one["cpu"]["p99_us"])
    for state in ("up", "down", "hung"):
        one = found[f"save {state}"]
        yield f"save hook, gateway {state}", told(one), "1 ms p99", one["p99_us"] <= 1000
    for word in ("begin", "end"):
        one = found["board"][word]
        yield f"phase {word}, board", "%.2f µs median, %.2f p99" % (one["median_us"], one["p99_us"]), "1 µs median, 5 µs p99", one["median_us"] <= 1 and one["p99_us"] <= 5
    yield "nothing, timed the same way", "%.2f µs median" % found["board"]["null"]["median_us"], "", None
    hot = found["beacon"]["hot"]
    yield "phase begin, beacon, back to back", told(hot, 1), "10 µs median", hot["median_us"] <= 10
    yield "phase begin, beacon, after other work", told(found["beacon"]["cold"], 1), "", None
    yield from rows_of_c(found)
    one = found["memory"]
    yield "memory and threads, 200 saves", "%.1f MiB, %d thread" % (one["mib"], one["threads"]), "16 MiB, 1", one["mib"] <= 16 and one["threads"] <= 1
    one = found["steps"]
    if one is None:
        yield "step of torch", "left out: python3-torch is not installed", "0.1 %", None
    else:
        off, on = one["off"], one["on"]
        costs = on["cpu_us"] - off["cpu_us"]
        yield ("what the hooks add to a step of torch, all threads", "%+.0f µs of the processor, %+.0f µs in a step of %.0f" %
               (costs, on["wall_us"] - off["wall_us"], off["wall_us"]), "1000 µs of the processor: 0.1 % of a step of a second", costs <= 1000)


def rows_of_c(found):
    if "NCCL" not in found:
        yield "the same from C", "left out: build the targets tideway_client and tideway_nccl of the release preset", "", None
        return
    for state in ("up", "down", "hung"):
        one = found[f"C save {state}"]
        yield (f"C: save hook, gateway {state}", "%.1f µs least, %.1f median, %.1f p99; of the processor %.1f median" %
               (one["min_us"], one["median_us"], one["p99_us"], one["cpu"]["median_us"]), "1 ms p99", one["p99_us"] <= 1000)
    for word in ("begin", "end"):
        one = found["C board"][word]
        yield f"C: phase {word}, board", "%.3f µs median, %.3f p99" % (one["median_us"], one["p99_us"]), "1 µs median", one["median_us"] <= 1
    one = found["NCCL"]
    yield ("NCCL: an event, of an operation of 1 step and of 100", "%.0f and %.0f ns, least of 50 runs" % (one["one_step_ns"], one["many_steps_ns"]), "1000 ns",
           max(one.values()) <= 1000)


def run_case(name, is_quick):
    done = subprocess.run([sys.executable, str(HERE), "--case", name] + ["--quick"] * is_quick, stdout=subprocess.PIPE, text=True, timeout=CASE_S,
                          env={name: value for name, value in os.environ.items() if not name.startswith("TIDEWAY_")})
    return json.loads(done.stdout) if done.returncode == 0 else None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the calls")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--gateway", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.gateway:
        return serve(*options.gateway)
    if options.case:
        with tempfile.TemporaryDirectory(prefix="twhook") as folder:
            print(json.dumps(cases(options.quick)[options.case](pathlib.Path(folder))))
        return 0
    before = record.machine()
    found = {name: run_case(name, options.quick) for name in cases(options.quick)}
    if any(one is None for name, one in found.items() if name != "steps"):
        print("a case failed; its own words stand above", file=sys.stderr)
        return 1
    print("load %.1f on %d cores" % (before["load"], before["cores"]))
    print("| what | figure | limit | |\n|---|---|---|---|")
    rows = list(rows_of(found))
    for what, figure, limit, holds in rows:
        print(f"| {what} | {figure} | {limit} | {'' if holds is None else 'holds' if holds else 'BROKEN'} |")
    record.write("hook", before, [list(row) for row in rows], found, [] if found["steps"] else ["steps: python3-torch is not installed"])
    return 1 if any(holds is False for *_, holds in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
