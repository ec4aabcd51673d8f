# SPDX-License-Identifier: Apache-2.0
"""python -m tideway: the calls of the package for shells, with the exit codes of the command line."""
from __future__ import annotations

import argparse
import json
import subprocess
import sys
from datetime import datetime
from typing import Any, Callable, Dict, List, Optional

import tideway
from tideway import settings
from tideway.errors import EXIT_CODES
from tideway.reach import reach

WAITS_FOR_S = 5.0  # of submit and replicate without --wait: until it is accepted or stored


def main(words: Optional[List[str]] = None) -> int:
    options = _parser().parse_args(words)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except tideway.TidewayError as error:
        print(f"python -m tideway: {error}", file=sys.stderr)
        return error.exit_code
    except (ValueError, OSError) as trouble:
        print(f"python -m tideway: {trouble}", file=sys.stderr)
        return EXIT_CODES["usage"]


def _copy(options: argparse.Namespace) -> int:
    job = tideway.copy(options.src, options.dst, job_class=options.job_class, deadline=options.deadline, compress=options.compress,
                       verify=options.verify, labels=_labels(options), wait=not options.no_wait, timeout=options.timeout)
    print(job.id)
    return 0


def _submit(options: argparse.Namespace) -> int:
    with (sys.stdin if options.spec == "-" else open(options.spec, encoding="utf-8")) as file:
        spec = json.load(file)
    if not isinstance(spec, dict):
        raise ValueError(f"{options.spec} holds no JSON object")
    return _follow(tideway.submit(spec, submission_id=options.submission_id), options)


def _checkpoint(options: argparse.Namespace) -> Dict[str, Any]:
    given: Dict[str, Any] = {name: getattr(options, name) for name in ("series", "step", "keep", "deadline", "format", "rpo", "pin", "publish", "supersede")}
    return {**given, "pointers": options.pointer, "labels": _labels(options)}


def _replicate(options: argparse.Namespace) -> int:
    return _follow(tideway.replicate_checkpoint(options.path, options.to, **_checkpoint(options)), options)


def _stream(options: argparse.Namespace) -> int:
    """A command that fails leaves no checkpoint, and its exit code is ours."""
    try:
        with tideway.stream_checkpoint(options.path, options.to, **_checkpoint(options)) as stream:
            subprocess.run(options.command, check=True)
    except subprocess.CalledProcessError as ended:
        tideway.flush(WAITS_FOR_S)
        return ended.returncode if ended.returncode >= 0 else 128 - ended.returncode
    return _follow(stream.ticket, options)


def _follow(ticket: tideway.Ticket, options: argparse.Namespace) -> int:
    if settings.is_disabled():
        return 0
    is_there = ticket.wait("published", options.timeout) if options.wait else ticket.wait("stored", options.timeout or WAITS_FOR_S)
    print(ticket.job.id if ticket.job is not None else ticket.submission_id)
    if is_there:
        return 0
    print(f"python -m tideway: it is {ticket.state} when time is up", file=sys.stderr)
    return EXIT_CODES["deadline"]


def _restore(options: argparse.Namespace) -> int:
    print(tideway.restore(options.series, options.dst, step=options.step, include=options.include or ("**",), fallback=options.fallback,
                          timeout=options.timeout))
    return 0


def _phase_run(options: argparse.Namespace) -> int:
    with tideway.phase(options.training, dst=options.to, ttl=options.ttl):
        found = subprocess.run(options.command, check=False).returncode
    return found if found >= 0 else 128 - found


def _phase_word(kind: str) -> Callable[[argparse.Namespace], int]:
    """A slot of the board ends with its process, so a single word goes by beacon, else to the socket."""
    def say(options: argparse.Namespace) -> int:
        training = options.training or settings.training()
        if not training:
            raise ValueError("no training is named: write --training, or set TIDEWAY_TRAINING")
        if settings.is_disabled():
            return 0
        if settings.beacon_targets():
            from tideway.beacon import BeaconLine, read_key
            line = BeaconLine(settings.beacon_targets(), read_key(settings.beacon_key_file()), training, options.to, options.ttl)
            line.begin(0) if kind == "begin" else line.end()
            line.close()  # which says it once more
            return 0
        body: Dict[str, Any] = {"training": training, "kind": kind}
        if options.to:
            body["dst"] = options.to
        if options.ttl:
            body["ttl_us"] = int(options.ttl * 1e6)
        reach().ask("POST", "/v1/phase", body)
        return 0
    return say


def _labels(options: argparse.Namespace) -> Dict[str, str]:
    pairs = [label.partition("=") for label in options.label]
    if not all(equals for _, equals, _ in pairs):
        raise ValueError("write labels as NAME=VALUE")
    return {name: value for name, _, value in pairs}


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tideway", description="Copies, checkpoints and phases by the gateway of this machine.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, run: Callable[[argparse.Namespace], int], help: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = verbs.add_parser(name, help=help, description=help)
        made.set_defaults(run=run)
        made.add_argument("--timeout", type=float, help="seconds")
        return made

    copy = verb("copy", _copy, "Copy files or trees to or from a peer, and wait for it")
    copy.add_argument("src", nargs="+")
    copy.add_argument("dst")
    copy.add_argument("--class", dest="job_class", default="best-effort")
    copy.add_argument("--compress", default="auto")
    copy.add_argument("--verify")
    copy.add_argument("--no-wait", action="store_true")
    submit = verb("submit", _submit, "Leave a job to the gateway, as POST /v1/jobs takes it")
    submit.add_argument("spec", help="file with a JSON object; - is standard input")
    submit.add_argument("--submission-id")
    replicate = verb("replicate", _replicate, "Bring a finished checkpoint to other sites")
    stream = verb("stream", _stream, "Bring a checkpoint to other sites while a command writes it")
    for made in (replicate, stream):
        made.add_argument("path")
        made.add_argument("--to", action="append", required=True, help="peer:root/path; may be repeated")
        for name, default in (("series", None), ("format", "auto"), ("rpo", None), ("pin", "auto"), ("publish", "rename"), ("supersede", "latest")):
            made.add_argument(f"--{name}", default=default)
        made.add_argument("--step", type=int)
        made.add_argument("--keep", type=int)
        made.add_argument("--pointer", action="append", default=[])
    stream.add_argument("command", nargs="+", help="behind --")
    for made in (copy, replicate, stream):
        made.add_argument("--deadline", type=_moment, help="RFC 3339")
        made.add_argument("--label", action="append", default=[], help="NAME=VALUE; may be repeated")
    for made in (submit, replicate, stream):
        made.add_argument("--wait", action="store_true", help="until it is published")
    restore = verb("restore", _restore, "Bring a checkpoint back, and wait for it")
    restore.add_argument("series")
    restore.add_argument("dst")
    restore.add_argument("--step", type=int)
    restore.add_argument("--include", action="append", help="only these names; may be repeated")
    restore.add_argument("--fallback", action="store_true")
    _add_phase(verbs)
    return parser


def _add_phase(verbs: Any) -> None:
    words = verbs.add_parser("phase", help="Announce that a training communicates").add_subparsers(required=True, metavar="begin|end|run")
    for name, run in (("begin", _phase_word("begin")), ("end", _phase_word("end")), ("run", _phase_run)):
        made = words.add_parser(name)
        made.set_defaults(run=run)
        made.add_argument("--training")
        made.add_argument("--to", default="", help="the far site")
        made.add_argument("--ttl", type=float, default=0.0, help="seconds")
        if name == "run":
            made.add_argument("command", nargs="+", help="behind --")


if __name__ == "__main__":
    sys.exit(main())
