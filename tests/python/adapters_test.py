#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The adapters of frameworks that Debian 12 has no package of, against recorded call sequences: fakes that call the adapter and
write files in the order found in the projects' source, races included. No real library runs here; docs/python.md says so.
"""
import contextlib
import io
import json
import logging
import shutil
import sys
import types
import unittest

from handing import torch_file
from support import WAIT_S, Case

import tideway
from tideway import checkpoints, notes
from tideway.adapters import deepspeed, guard, hf, lightning, megatron, orbax

logging.getLogger("tideway").setLevel(logging.CRITICAL)
TO = "wisconsin:ckpt/runs/llm7"


class Adapter(Case):
    """Each is judged by what lies in the inbox of a gateway that is away."""

    def setUp(self):
        super().setUp()
        self.top = self.root()
        self.run_folder = self.top / "runs/llm7"
        self.run_folder.mkdir(parents=True)
        self.own_queue()
        self.set_constant(checkpoints, "LOOK_MIN_S", 0.001)
        self.set_constant(checkpoints, "LOOK_MAX_S", 0.01)
        for module in (hf, lightning, deepspeed):
            self.set_constant(module, "SETTLE_S", 0.05)
        notes.counts.clear()

    def requests(self):
        """All that were handed over, once nothing is left in memory."""
        self.assertTrue(tideway.flush(WAIT_S), "something is still waiting")
        found = [json.loads(path.read_text()) for path in (self.top / ".tideway/inbox").glob("*.json")]
        return sorted(found, key=lambda request: request.get("step", 0))

    def nothing_yet(self):
        """Something was handed over and has been looked at, and is not complete."""
        self.assertFalse(tideway.flush(0.1))
        self.assertEqual(list((self.top / ".tideway/inbox").glob("*.json")), [])

    def write(self, path, content=None):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(torch_file() if content is None else content)

    def module(self, name, **members):
        """Puts a fake framework where `import` finds it."""
        made = types.ModuleType(name)
        made.__dict__.update(members)
        before = sys.modules.get(name)
        sys.modules[name] = made
        self.addCleanup(lambda: sys.modules.pop(name) if before is None else sys.modules.update({name: before}))
        return made


class HuggingFace(Adapter):
    """Trainer._save_checkpoint: model, optimizer, scheduler, trainer_state.json, then on_save; rng files of other ranks come when they come,
    and before 4.3x after the JSON."""

    def setUp(self):
        super().setUp()
        self.module("transformers", TrainerCallback=object)
        self.callback = hf.callback(TO, "llm7", training="llm7")
        self.args = types.SimpleNamespace(output_dir=str(self.run_folder), world_size=2)

    def state(self, step, is_zero=True):
        return types.SimpleNamespace(is_world_process_zero=is_zero, global_step=step)

    def save_model(self, step):
        folder = self.run_folder / f"checkpoint-{step}"
        self.write(folder / "pytorch_model.bin")
        self.write(folder / "optimizer.pt")
        self.write(folder / "scheduler.pt")
        self.write(folder / "rng_state_0.pth")
        self.write(folder / "trainer_state.json", b"{}")
        return folder

    def test_what_another_rank_writes_after_on_save_is_waited_for(self):
        folder = self.save_model(500)
        self.callback.on_save(self.args, self.state(500), None, model=None)
        self.nothing_yet()
        self.write(folder / "rng_state_1.pth")
        request, = self.requests()
        self.assertEqual((request["path"], request["series"], request["step"], request["format"]), ("runs/llm7/checkpoint-500", "llm7", 500, "hf"))

    def test_only_the_first_process_of_the_world_hands_over(self):
        self.save_model(500)
        self.callback.on_save(self.args, self.state(500, is_zero=False), None)
        self.assertEqual(self.requests(), [])

    def test_a_checkpoint_that_rotation_took_away_is_never_sent(self):
        rotated = self.save_model(400)
        self.callback.on_save(self.args, self.state(400), None)
        shutil.rmtree(rotated)  # before the other rank was through with it
        folder = self.save_model(500)
        self.write(folder / "rng_state_1.pth")
        self.callback.on_save(self.args, self.state(500), None)
        self.assertEqual([request["step"] for request in self.requests()], [500])  # and nothing waits any more
        self.assertEqual(notes.counts["refused"], 1)

    def test_steps_are_reported_as_iterations(self):
        gateway = self.gateway(self.top)
        gateway.answers["POST /v1/phase"] = lambda request, _: request.reply(204, None)
        for step in range(3):
            self.callback.on_step_end(self.args, self.state(step), None)
        words = gateway.wait_for("POST", "/v1/phase", 2)
        self.assertEqual([(word["training"], word["kind"]) for word in words], [("llm7", "iteration")] * 2)


class Lightning(Adapter):
    """Trainer.save_checkpoint(filepath, weights_only, storage_options): dump, strategy.save_checkpoint, barrier. ModelCheckpoint calls
    it as trainer.save_checkpoint."""

    def setUp(self):
        super().setUp()
        test = self

        class Trainer:
            is_global_zero, global_step = True, 1200

            def __init__(self):
                self.strategy = types.SimpleNamespace(checkpoint_io=object())

            def save_checkpoint(self, filepath, weights_only=None, storage_options=None):
                if type(self.strategy.checkpoint_io).__name__ != "AsyncCheckpointIO":
                    test.write(filepath)
                return "saved"
        lightning_package = self.module("lightning")
        lightning_package.pytorch = self.module("lightning.pytorch", Callback=object)
        self.trainer = Trainer()
        self.callback = lightning.callback(TO)
        self.callback.setup(self.trainer, None, "fit")

    def test_what_model_checkpoint_saves_is_handed_over_after_the_barrier(self):
        self.callback.setup(self.trainer, None, "validate")  # once more, within the fit
        self.assertEqual(self.trainer.save_checkpoint(self.run_folder / "epoch=3-step=1200.ckpt", weights_only=False), "saved")
        request, = self.requests()
        self.assertEqual((request["path"], request["step"], request["format"]), ("runs/llm7/epoch=3-step=1200.ckpt", 1200, "lightning"))

    def test_other_ranks_and_other_stores_are_left_alone(self):
        self.trainer.is_global_zero = False
        self.trainer.save_checkpoint(self.run_folder / "a.ckpt")
        self.trainer.is_global_zero = True
        self.trainer.strategy.checkpoint_io = type("AsyncCheckpointIO", (), {})()
        self.trainer.save_checkpoint("s3://bucket/a.ckpt")
        self.assertEqual(self.requests(), [])

    def test_asynchronous_io_is_waited_for(self):
        self.trainer.strategy.checkpoint_io = type("AsyncCheckpointIO", (), {})()
        path = self.run_folder / "step=7.ckpt"
        self.trainer.save_checkpoint(path)
        path.write_bytes(torch_file()[:-30])
        self.nothing_yet()
        self.write(path)
        self.assertEqual(len(self.requests()), 1)

    def test_with_deepspeed_it_is_a_directory_with_files_of_each_process(self):
        """DeepSpeedStrategy.save_checkpoint: engine.save_checkpoint(filepath, client_state, tag="checkpoint")."""
        self.trainer.world_size = 2
        self.trainer.strategy.checkpoint_io = type("AsyncCheckpointIO", (), {})()
        folder = self.run_folder / "epoch=3-step=1200.ckpt"
        for name in ("mp_rank_00_model_states.pt", "zero_pp_rank_0_mp_rank_00_optim_states.pt"):
            self.write(folder / "checkpoint" / name)
        self.write(folder / "latest", b"checkpoint")
        self.trainer.save_checkpoint(folder)
        self.nothing_yet()
        self.write(folder / "checkpoint/zero_pp_rank_1_mp_rank_00_optim_states.pt")
        request, = self.requests()
        self.assertEqual((request["path"], request["format"], request["world"]), ("runs/llm7/epoch=3-step=1200.ckpt", "lightning", 2))

    def test_what_is_written_again_under_one_name_stays_here_and_replaces_nothing(self):
        """ModelCheckpoint with save_last=True: after each checkpoint, last.ckpt; in the next run last-v1.ckpt."""
        for step in (1200, 1300):
            self.trainer.global_step = step
            for name in (f"epoch=3-step={step}.ckpt", "last.ckpt", "last-v1.ckpt"):
                self.trainer.save_checkpoint(self.run_folder / name)
        self.trainer.save_checkpoint(self.run_folder / "epoch=3-step=1300-v1.ckpt")
        self.assertEqual(sorted(request["path"][10:] for request in self.requests()),
                         ["epoch=3-step=1200.ckpt", "epoch=3-step=1300-v1.ckpt", "epoch=3-step=1300.ckpt"])
        self.assertEqual((notes.counts["no_step_in_name"], notes.counts["adapter_lightning"]), (4, 0))

    def test_teardown_gives_the_method_back(self):
        self.callback.teardown(self.trainer, None, "fit")
        self.assertNotIn("save_checkpoint", self.trainer.__dict__)
        self.trainer.save_checkpoint(self.run_folder / "a.ckpt")
        self.assertEqual(self.requests(), [])


class DeepSpeed(Adapter):
    """engine.save_checkpoint: every rank writes its files, rank 0 writes `latest` before the closing barrier."""

    def setUp(self):
        super().setUp()
        test = self

        class Engine:
            global_rank, global_steps, world_size = 0, 40, 2

            def save_checkpoint(self, save_dir, tag=None, client_state={}, save_latest=True, exclude_frozen_parameters=False):
                folder = test.run_folder / (tag or f"global_step{self.global_steps}")
                test.write(folder / "mp_rank_00_model_states.pt")
                test.write(folder / "zero_pp_rank_0_mp_rank_00_optim_states.pt")
                if save_latest:
                    test.write(test.run_folder / "latest", folder.name.encode())
                test.write(folder / "zero_pp_rank_1_mp_rank_00_optim_states.pt")  # the other rank, behind `latest`
                return True
        self.engine = deepspeed.wrap(Engine(), TO)

    def test_it_is_handed_over_with_its_pointer_when_the_call_has_returned(self):
        self.assertTrue(self.engine.save_checkpoint(str(self.run_folder), client_state={"epoch": 1}))
        request, = self.requests()
        self.assertEqual((request["path"], request["step"], request["pointers"]), ("runs/llm7/global_step40", 40, ["latest"]))

    def test_a_tag_names_it_and_without_latest_there_is_no_pointer(self):
        self.engine.save_checkpoint(str(self.run_folder), tag="best", save_latest=False)
        request, = self.requests()
        self.assertEqual((request["path"], request.get("pointers")), ("runs/llm7/best", None))

    def test_only_rank_zero_hands_over(self):
        self.engine.global_rank = 1
        self.engine.save_checkpoint(str(self.run_folder))
        self.assertEqual(self.requests(), [])

    def test_a_rank_that_is_missing_keeps_it_back(self):
        self.engine.world_size = 3
        self.engine.save_checkpoint(str(self.run_folder))
        self.nothing_yet()
        self.write(self.run_folder / "global_step40/zero_pp_rank_2_mp_rank_00_optim_states.pt")
        self.assertEqual(len(self.requests()), 1)

    def test_without_zero_one_process_of_each_model_part_saves_whatever_the_engine_says_of_itself(self):
        test = self

        class Unpartitioned:
            global_rank, global_steps, world_size = 0, 50, 8

            def save_checkpoint(self, save_dir, tag=None, client_state={}, save_latest=True):
                for part in range(2):
                    test.write(test.run_folder / f"global_step{self.global_steps}/mp_rank_{part:02}_model_states.pt")
        told = Unpartitioned()
        told.save_zero_checkpoint, told.mp_world_size = False, 2
        deepspeed.wrap(told, TO).save_checkpoint(str(self.run_folder), save_latest=False)
        silent = Unpartitioned()
        silent.global_steps = 60
        deepspeed.wrap(silent, TO).save_checkpoint(str(self.run_folder), save_latest=False)
        self.assertEqual([(request["step"], request["world"]) for request in self.requests()], [(50, 2), (60, 8)])

    def test_a_decoupled_engine_is_waited_for(self):
        self.engine.checkpoint_engine = types.SimpleNamespace(is_decoupled=lambda: True)
        self.engine.save_checkpoint(str(self.run_folder))
        self.assertEqual(len(self.requests()), 1)


class Megatron(Adapter):
    """save_checkpoint with an asynchronous request: shards and common.pt first; the finalisers write .metadata, metadata.json, then the
    tracker in place; what was added by add_finalize_fn is called last, on every rank."""

    def finish(self, iteration):
        folder = self.run_folder / f"iter_{iteration:07}"
        for name in ("__0_0.distcp", "__1_0.distcp"):
            self.write(folder / name, b"x" * 1000)
        self.write(folder / "common.pt")
        yield folder
        self.write(folder / ".metadata", b"m")
        self.write(folder / "metadata.json", b"{}")
        self.write(self.run_folder / "latest_checkpointed_iteration.txt", str(iteration).encode())
        yield folder

    def test_the_finaliser_hands_over_with_the_tracker_as_pointer(self):
        for _ in self.finish(9000):
            pass
        megatron.finalizer(self.run_folder, 9000, TO)()
        request, = self.requests()
        self.assertEqual((request["path"], request["step"], request["pointers"]),
                         ("runs/llm7/iter_0009000", 9000, ["latest_checkpointed_iteration.txt"]))

    def test_a_wrapped_save_that_returns_early_is_waited_for(self):
        steps = self.finish(9000)
        save = megatron.wrap_save(lambda iteration, model: next(steps), self.run_folder, TO)
        save(9000, None)
        self.nothing_yet()
        next(steps)
        self.assertEqual(len(self.requests()), 1)

    def test_other_ranks_do_not_hand_over(self):
        self.setenv("RANK", "1")
        self.setenv("WORLD_SIZE", "2")
        for _ in self.finish(9000):
            pass
        megatron.finalizer(self.run_folder, 9000, TO)()
        self.assertEqual(self.requests(), [])


class Orbax(Adapter):
    """AsyncCheckpointer: writes <step>.orbax-checkpoint-tmp-<n>, renames it, removes steps beyond max_to_keep, then calls back."""

    def save(self, step):
        folder = self.run_folder / f"{step}.orbax-checkpoint-tmp-17"
        self.write(folder / "default/d/0", b"x" * 1000)
        self.write(folder / "_CHECKPOINT_METADATA", b'{"commit_timestamp_nsecs": 1}')
        return folder.rename(self.run_folder / str(step))

    def test_the_newest_finalised_step_is_handed_over(self):
        done = orbax.callback(self.run_folder, TO)
        self.save(90)
        self.save(100)
        self.write(self.run_folder / "110.orbax-checkpoint-tmp-18/default/d/0", b"x")
        done()
        request, = self.requests()
        self.assertEqual((request["path"], request["step"], request["format"]), ("runs/llm7/100", 100, "orbax"))

    def test_what_is_no_checkpoint_is_not_the_newest_step(self):
        self.save(100)
        self.write(self.run_folder / "eval_2024/scores.json", b"{}")
        self.write(self.run_folder / "101/notes.txt", b"x")
        self.write(self.run_folder / "9999", b"x")
        self.save("v2_samples")
        self.assertEqual(orbax.newest_step(self.run_folder), "100")
        self.save("ckpt_000110")
        self.assertEqual(orbax.newest_step(self.run_folder), "ckpt_000110")

    def test_a_step_that_is_removed_meanwhile_stops_nothing(self):
        done = orbax.callback(self.run_folder / "nothing", TO)
        done()
        self.assertEqual((self.requests(), notes.counts["adapter_orbax"]), ([], 1))

    def test_jax_says_which_process_it_is(self):
        self.module("jax", process_index=lambda: 3)
        self.save(100)
        orbax.callback(self.run_folder, TO)()
        self.assertEqual(self.requests(), [])


class Guards(Adapter):
    def test_our_own_trouble_stays_ours_and_turns_the_hook_off_after_ten_times(self):
        calls = []

        def broken():
            calls.append(1)
            raise RuntimeError("a bug of ours")
        watched = guard.Guard("test")
        for _ in range(15):
            self.assertIsNone(watched.call(broken))
        self.assertEqual((len(calls), notes.counts["adapter_test"], notes.counts["adapter_disabled"]), (10, 10, 1))

    def test_a_success_begins_the_count_anew(self):
        watched = guard.Guard("test")
        for _ in range(5):
            for _ in range(guard.FAILURES_MAX - 1):
                watched.call(dict.__getitem__, {}, "x")
            self.assertEqual(watched.call(len, "four"), 4)
        self.assertEqual(notes.counts["adapter_disabled"], 0)

    def test_wrong_arguments_are_told_when_the_hook_is_made(self):
        for make in (lambda: deepspeed.wrap(types.SimpleNamespace(save_checkpoint=print), "nowhere"), lambda: orbax.callback("x", TO, pin="hard"),
                     lambda: megatron.finalizer("x", 1, [])):
            with self.assertRaises(ValueError), contextlib.redirect_stdout(io.StringIO()):
                make()


if __name__ == "__main__":
    unittest.main()
