# SPDX-License-Identifier: Apache-2.0
"""Whether a checkpoint is really complete.

Each framework has its own sign for that and its own race, so each format has its own rule. The rules are those of the gateway
(src/checkpoint), tested against the same cases; here they say when the queue thread may pin. Nothing is ever unpickled: the rules
look at names, sizes, times, ends of zip files, headers, small JSON and text.
Pure: what lies on the disk comes in as a Listing and a function that reads parts of files.
"""
from __future__ import annotations

import json
import re
from typing import AbstractSet, Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

JSON_BYTES_MAX = 64 << 20  # an index of a million tensors
HEADER_BYTES_MAX = 100_000_000  # of safetensors itself
ZIP_TAIL = 98  # both end records of zip64 and what points from one to the other
TRACKER_BYTES_MAX = 1024
MEGATRON_TRACKER, DEEPSPEED_TRACKER = "latest_checkpointed_iteration.txt", "latest"
_ZIP_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")


class File(NamedTuple):
    size: int  # bytes
    mtime_ns: int


class Listing(NamedTuple):
    name: str  # of the checkpoint itself: its last component
    files: Dict[str, File]  # by their path below it, with "/"; "": the checkpoint is this one file
    links: Mapping[str, str] = {}  # symbolic ones below it, and what they say; no rule asks for these, nor for the next
    bare: AbstractSet[str] = frozenset()  # directories without any of that, with "/" at the end

    def names(self) -> List[str]:
        return [*self.files, *self.links, *self.bare]

    def with_times(self, times: Mapping[str, int]) -> "Listing":
        return self._replace(files={**self.files, **{name: self.files[name]._replace(mtime_ns=time) for name, time in times.items()}})


#: (path as in Listing or "../name" for a file beside the checkpoint, part) -> bytes, or None when it cannot be read. Parts: whole;
#: again, a second read a moment later; head, of safetensors the header with the length before it; tail, the last ZIP_TAIL bytes.
Reader = Callable[[str, str], Optional[bytes]]


class Incomplete(Exception):
    """`reason` is one stable word."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Complete(NamedTuple):
    format: str
    pointers: Tuple[str, ...]  # names of files beside it that name the newest checkpoint


class _Look(NamedTuple):
    listing: Listing
    read: Reader
    world: int  # processes that save; 0: not known
    by_hook: bool

    def names(self, *ends: str) -> List[str]:
        return [path for path in self.listing.files if path.endswith(ends)]

    def shown(self, path: str) -> str:
        return path or self.listing.name

    def json(self, path: str) -> Dict[str, Any]:
        found = _json_object(self.read(path, "whole"))
        if found is None:
            raise Incomplete("cut", f"{path} is not whole")
        return found


def assess(listing: Listing, read: Reader, format: str = "auto", *, world: int = 0, by_hook: bool = True) -> Complete:
    """The format that fits; `by_hook`: the framework says it is through, which replaces waiting for quiet and nothing else.

    Errors: Incomplete; ValueError for a format that is not known, and with `auto` when two fit, both named.
    """
    check_format(format)
    if not listing.files:
        raise Incomplete("empty", "there is no file in it yet")
    known = _recognise(listing) if format == "auto" else format
    row = _ROWS[known]
    row.rule(_Look(listing, read, world, by_hook))
    return Complete(known, (row.pointer,) if row.pointer and read("../" + row.pointer, "whole") is not None else ())


def check_format(format: str) -> None:
    """Errors: ValueError."""
    if format != "auto" and format not in _ROWS:
        raise ValueError(f"there is no format {format!r}; one of auto, {', '.join(_ROWS)}")


def step_in(name: str) -> Optional[int]:
    """The number behind "step" (global_step9000, epoch=3-step=9000.ckpt), else the last number in it (iter_0009000, 9000)."""
    found = list(re.finditer(r"step[=_-]?([0-9]+)", name)) or list(re.finditer(r"([0-9]+)", name))
    return int(found[-1].group(1)) if found else None


def _recognise(listing: Listing) -> str:
    first = ""
    for name, row in _ROWS.items():
        if not row.fits(listing):
            continue
        if not first:
            first = name
        elif name not in _ROWS[first].inside:
            raise ValueError(f"{listing.name} looks like {first} and like {name}; name its format instead of auto")
    if not first:
        raise Incomplete("no_format", "no format is known by these files; name it if they are all there")
    return first


# ---- kinds of files ------------------------------------------------------------------------------------------------------


def _last(path: str) -> str:
    return path[path.rfind("/") + 1:]


def _folder(path: str) -> str:
    return path[:path.rfind("/") + 1]


def _json_object(text: Optional[bytes]) -> Optional[Dict[str, Any]]:
    if text is None or len(text) > JSON_BYTES_MAX:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _number(tail: bytes, at: int, size: int) -> int:
    return int.from_bytes(tail[at:at + size], "little")


def ends_as_zip(tail: bytes, file_size: int) -> bool:
    """Whether the directory of at least one entry and its end records are there, as torch.save writes them: without a comment."""
    end, end64 = len(tail) - 22, len(tail) - 98
    if end < 0 or len(tail) > file_size or _number(tail, end, 4) != 0x06054B50 or _number(tail, end + 20, 2) != 0:
        return False
    directory, size, ends_at = _number(tail, end + 16, 4), _number(tail, end + 12, 4), file_size - 22
    if end64 >= 0 and _number(tail, end - 20, 4) == 0x07064B50:
        ends_at = file_size - 98
        if _number(tail, end64, 4) != 0x06064B50 or _number(tail, end - 12, 8) != ends_at:
            return False
        directory, size = _number(tail, end64 + 48, 8), _number(tail, end64 + 40, 8)
    return 0 < size <= ends_at and directory == ends_at - size


def _check_zip(look: _Look, path: str) -> None:
    tail = look.read(path, "tail")
    if tail is None or not ends_as_zip(tail, look.listing.files[path].size):
        raise Incomplete("cut", f"{look.shown(path)} has no zip directory at its end")


def safetensors_size(head: bytes) -> Optional[int]:
    """How large the whole file must be, from its header with the length before it; None when that is cut or wrong."""
    length = _number(head, 0, 8)
    header = _json_object(head[8:]) if len(head) == 8 + length and 0 < length <= HEADER_BYTES_MAX else None
    if header is None:
        return None
    end = 0
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        offsets = tensor.get("data_offsets") if isinstance(tensor, dict) else None
        if not isinstance(offsets, list) or len(offsets) != 2 or not all(type(offset) is int for offset in offsets):
            return None
        if not 0 <= offsets[0] <= offsets[1]:
            return None
        end = max(end, offsets[1])
    return 8 + length + end


def _check_safetensors(look: _Look) -> None:
    indexed = set()
    for index in look.names(".index.json"):
        for name in _files_of_index(look, index):
            if _folder(index) + name not in look.listing.files:
                raise Incomplete("missing", f"{index} names {name}, which is not there yet")
        indexed.add(_folder(index))
    for path, file in look.listing.files.items():
        if not look.shown(path).endswith(".safetensors"):
            continue
        if "-of-" in _last(path) and _folder(path) not in indexed:
            raise Incomplete("no_marker", f"{path} is one of several, and there is no index of them yet")
        head = look.read(path, "head")
        if head is None or safetensors_size(head) != file.size:
            raise Incomplete("cut", f"{look.shown(path)} has another size than its header speaks of")


def _files_of_index(look: _Look, index: str) -> Set[str]:
    found = look.json(index).get("weight_map")
    names = set(found.values()) if isinstance(found, dict) and all(isinstance(name, str) for name in found.values()) else set()
    if not names or any(not name or "\0" in name or {"", ".", ".."} & set(name.split("/")) for name in names):
        raise Incomplete("cut", f"{index} is no whole index")
    return names


def _check_dcp(look: _Look, folder: str) -> None:
    marker = look.listing.files.get(folder + ".metadata")
    if folder + ".metadata.tmp" in look.listing.files:
        raise Incomplete("writing", f"{folder}.metadata.tmp is there: it is being finished")
    if marker is None:
        raise Incomplete("no_marker", f"{folder}.metadata is not there yet")
    shards = [path for path in look.names(".distcp") if _folder(path) == folder]
    if not shards:
        raise Incomplete("missing", f"{folder}.metadata is there and no .distcp file beside it")
    for path in shards:
        if look.listing.files[path].mtime_ns > marker.mtime_ns:
            raise Incomplete("old_marker", f"{folder}.metadata is older than {path}: that is being saved again, or the clocks of those that write differ")


def late_markers(listing: Listing) -> Dict[str, int]:
    """Markers of DCP that are older than what they close, as times have it, and the newest time of that in ns. Times that several hosts set
    tell no order where clocks differ; whoever knows that a marker was written last goes by these instead."""
    newest: Dict[str, int] = {}
    for path, file in listing.files.items():
        if path.endswith(".distcp"):
            marker = _folder(path) + ".metadata"
            newest[marker] = max(file.mtime_ns, newest.get(marker, 0))
    return {marker: time for marker, time in newest.items() if marker in listing.files and time > listing.files[marker].mtime_ns}


def _check_ranks(look: _Look, ranks: Sequence[int], what: str) -> None:
    """One of each from 0 on. Without their number a look cannot tell the last one from one still to come; a hook behind the
    closing barrier can."""
    if not look.world and not look.by_hook:
        raise Incomplete("world_unknown", "how many processes save is not known: set world, or call from a hook")
    if set(ranks) != set(range(look.world or len(set(ranks)))):
        raise Incomplete("missing", f"the {what}s of processes {sorted(set(ranks))} are there, of {look.world or 'all from 0 on'}")


# ---- formats -------------------------------------------------------------------------------------------------------------


def _torch_rule(look: _Look) -> None:
    paths = [path for path in look.listing.files if not path or path.endswith(_ZIP_SUFFIXES)]
    if not paths:
        raise Incomplete("empty", "there is no file of torch.save")
    for path in paths:
        _check_zip(look, path)


def _dcp_rule(look: _Look) -> None:
    folders = {_folder(path) for path in look.listing.files if path.endswith(".distcp") or _last(path) == ".metadata"}
    if not folders:
        raise Incomplete("empty", "there is no .distcp file")
    for folder in folders:
        _check_dcp(look, folder)


def _lightning_rule(look: _Look) -> None:
    if "" in look.listing.files:
        return _torch_rule(look)
    partitioned = {_folder(path) for path in look.names("_states.pt")}  # by DeepSpeed, which has no marker
    for folder in partitioned:
        _check_partitions(look, folder)
    if partitioned:
        return
    _check_dcp(look, "")
    if "meta.pt" not in look.listing.files:
        raise Incomplete("no_marker", "meta.pt is not there yet")
    _check_zip(look, "meta.pt")


def _tracked_step(text: bytes) -> Optional[int]:
    word = text.strip() if len(text) <= TRACKER_BYTES_MAX else b""
    return int(word) if word.isdigit() else None


def _megatron_rule(look: _Look) -> None:
    if any(path.startswith("mp_rank_") and path.endswith("/model_optim_rng.pt") for path in look.listing.files):
        for path in look.names(*_ZIP_SUFFIXES):
            _check_zip(look, path)
        return _check_tracker(look)
    if "metadata.json" not in look.listing.files:
        raise Incomplete("no_marker", "metadata.json is not there yet")
    look.json("metadata.json")
    if "common.pt" not in look.listing.files:
        raise Incomplete("missing", "common.pt is not there")
    _check_zip(look, "common.pt")
    if look.names(".distcp"):
        _check_dcp(look, "")


def _check_tracker(look: _Look) -> None:
    """It is rewritten in place, so it counts when two looks agree."""
    first, second = (look.read("../" + MEGATRON_TRACKER, part) for part in ("whole", "again"))
    if first is None or second is None:
        raise Incomplete("no_marker", f"{MEGATRON_TRACKER} is not there yet")
    reached, ours = _tracked_step(first), step_in(look.listing.name)
    is_release = first.strip() == b"release"
    if first != second or (reached is None and not is_release):
        raise Incomplete("tracker_changing", f"{MEGATRON_TRACKER} is being written")
    if is_release and look.listing.name == "release":
        return
    if reached is None or ours is None or reached < ours:
        raise Incomplete("tracker_behind", f"{MEGATRON_TRACKER} still says {first.strip().decode('ascii')}")


def _deepspeed_rule(look: _Look) -> None:
    """`latest` proves nothing: it is written before the closing barrier."""
    _check_partitions(look, "")


def _check_partitions(look: _Look, folder: str) -> None:
    parts: Set[int] = set()
    replicas: List[int] = []  # of model parts, where the model is not partitioned
    optimizer: List[Tuple[int, int]] = []  # (data rank, model part) of each process
    models: List[Tuple[int, int]] = []  # the same, where the model is partitioned, too
    has_model = False
    for path in look.names("_states.pt"):
        if not path.startswith(folder):
            continue
        _check_zip(look, path)
        part, rank = (re.search(word + "([0-9]+)", _last(path)) for word in ("mp_rank_", "zero_pp_rank_"))
        has_model |= path.endswith("model_states.pt")
        if part:
            parts.add(int(part.group(1)))
        if rank:
            (optimizer if path.endswith("_optim_states.pt") else models).append((int(rank.group(1)), int(part.group(1)) if part else 0))
        if part and not rank:
            replicas.append(int(part.group(1)))
    if not optimizer and not models:
        return _check_unpartitioned(look, replicas)
    if not has_model:
        raise Incomplete("missing", "there is no model file")
    for files, what in ((models, "model file"), (optimizer, "optimizer file")):
        if files or what == "optimizer file":
            _check_ranks(look, [rank * max(1, len(parts)) + part for rank, part in files], what)


def _check_unpartitioned(look: _Look, parts: Sequence[int]) -> None:
    """Without ZeRO the first data-parallel process of each model part saves and no other, and no file says how many parts there are:
    behind the closing barrier all of them are there, whatever `world` is. A look cannot tell such files from the first ones of
    partitions that are still to come, so for a look `world` is the number of those that save."""
    if not parts:
        raise Incomplete("missing", "there is no mp_rank_ file")
    _check_ranks(look._replace(world=0) if look.by_hook else look, parts, "mp_rank_ file")


def _is_model_file(path: str) -> bool:
    name = _last(path)
    return name.endswith((".safetensors", ".distcp", "_model_states.pt")) or (
        name.endswith(".bin") and name.startswith(("pytorch_model", "adapter_model")))


def _hf_rule(look: _Look) -> None:
    files = look.listing.files
    if "trainer_state.json" not in files:
        raise Incomplete("no_marker", "trainer_state.json is not there yet")
    look.json("trainer_state.json")
    if not any(map(_is_model_file, files)):
        raise Incomplete("missing", "there is no model file")
    _check_safetensors(look)
    for path in look.names(*_ZIP_SUFFIXES):
        if not path.endswith("_states.pt"):
            _check_zip(look, path)
    for folder in {_folder(path) for path in look.names(".distcp")}:
        _check_dcp(look, folder)
    for folder in {_folder(path) for path in look.names("_states.pt")}:
        _check_partitions(look._replace(by_hook=True), folder)  # trainer_state.json is written behind DeepSpeed's own barrier
    ranks = [int(found.group(1)) for found in map(re.compile(r"rng_state_([0-9]+)\.pth").fullmatch, files) if found]
    if ranks:
        return _check_ranks(look, ranks, "rng_state_")
    # With save_only_model there is nothing to resume from, and no state of random numbers either.
    resumes = any(path.startswith(("optimizer.", "scheduler.", "global_step")) for path in files)
    if ("rng_state.pth" in files and look.world > 1) or ("rng_state.pth" not in files and resumes):
        raise Incomplete("missing", "not every process has written its rng_state yet")


def _orbax_rule(look: _Look) -> None:
    """On POSIX the step gets its name when it is whole; elsewhere a marker inside says so."""
    for path in (look.listing.name, *look.listing.files):
        if ".orbax-checkpoint-tmp" in path:
            raise Incomplete("writing", f"{path} has not got its name yet")
    if "commit_success.txt" in look.listing.files:
        return
    if "_CHECKPOINT_METADATA" not in look.listing.files:
        raise Incomplete("no_marker", "_CHECKPOINT_METADATA is not there yet")
    metadata = look.json("_CHECKPOINT_METADATA")
    if metadata.get("commit_timestamp_nsecs", 0) is None:
        raise Incomplete("not_committed", "_CHECKPOINT_METADATA has no time of its commit, and there is no commit_success.txt")


class _Row(NamedTuple):
    fits: Callable[[Listing], bool]
    rule: Callable[[_Look], None]
    inside: Tuple[str, ...] = ()  # formats that are no ambiguity when they fit, too
    pointer: str = ""  # beside the checkpoint


def _any(listing: Listing, pattern: str) -> bool:
    return any(map(re.compile(pattern).search, listing.files))


def _is_file(listing: Listing, *suffixes: str) -> bool:
    return "" in listing.files and listing.name.endswith(suffixes)


_ROWS = {  # in the order in which `auto` tries them
    "megatron": _Row(lambda seen: bool(re.fullmatch("iter_[0-9]+", seen.name)) or _any(seen, r"^mp_rank_.*/model_optim_rng\.pt$")
                     or ("common.pt" in seen.files and _any(seen, r"\.distcp$")), _megatron_rule, ("dcp", "torch"), MEGATRON_TRACKER),
    # At the top: below that they are part of a trainer's checkpoint.
    "deepspeed": _Row(lambda seen: _any(seen, r"^(mp_rank_|[^/]*zero_pp_rank_)[^/]*_states\.pt$"), _deepspeed_rule, ("torch",), DEEPSPEED_TRACKER),
    "hf": _Row(lambda seen: bool(re.fullmatch("checkpoint-[0-9]+", seen.name)) or "trainer_state.json" in seen.files, _hf_rule,
               ("dcp", "safetensors", "torch")),
    "orbax": _Row(lambda seen: ".orbax-checkpoint-tmp" in seen.name or _any(seen, r"^(_CHECKPOINT_METADATA|commit_success\.txt)$"), _orbax_rule),
    "lightning": _Row(lambda seen: "meta.pt" in seen.files or _is_file(seen, ".ckpt") or _any(seen, r"^checkpoint/.*_states\.pt$"),  # its tag for DeepSpeed
                      _lightning_rule, ("dcp", "torch")),
    "dcp": _Row(lambda seen: _any(seen, r"\.distcp$|(^|/)\.metadata$"), _dcp_rule, ("torch",)),
    "safetensors": _Row(lambda seen: _is_file(seen, ".safetensors") or _any(seen, r"\.safetensors(\.index\.json)?$"), _check_safetensors, ("torch",)),
    "torch": _Row(lambda seen: _is_file(seen, *_ZIP_SUFFIXES) or _any(seen, r"\.(pt|pth|bin|ckpt)$"), _torch_rule),
}
