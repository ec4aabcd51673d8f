#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What scripts/demo-trainer.sh judges, on runs that are made up: the one that holds, and each that must not."""
import argparse
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples" / "gpt"))
import story

CHOSEN = argparse.Namespace(steps=4, rate=200.0, rtt=20.0)
BIN_BYTES = 250_000  # of the link, at that rate
FILES = {".metadata": "11", "__0_0.distcp": "22"}
LOST_AT = 13.5


def run(first, last, apart=0.0):
    return [({step: {"step": step, "begin": 9.0 + step, "end": 9.9 + step, "loss": 5.0 - step / 10 + apart} for step in range(first, last + 1)}, {})
            for _ in (0, 1)]


class Seen:
    looks = 5000

    def __init__(self, **files):
        self.seen = {step: {"at": 10.05 + step, "files": files.get("step%d" % step, FILES)} for step in (1, 2)}


def tell(looker, second=None, verified=None):
    logs = {"reference": run(1, 4), "first": run(1, 3), "second": second or run(3, 4)}
    logs["first"][0][1].update({step: {"saved": step, "begin": 9.91 + step, "end": 9.95 + step, "bytes": 1_000_000, "files": FILES} for step in (1, 2, 3)})
    # Each iteration has a burst, and behind each save but the last a checkpoint crosses.
    counts = {"ab": {100 * (9 + step) + i: [BIN_BYTES, 0] for step in (1, 2, 3) for i in range(20, 30)}, "ba": {}}
    counts["ab"].update({100 * (9 + step) + 95 + i: [0, BIN_BYTES] for step in (1, 2) for i in range(5)})
    return story.tell(CHOSEN, logs, counts, {"lost": LOST_AT, "restored": 2, "verified": verified or {1: "", 2: ""}, "looker": looker, "bursts": [[9.0 + step, 9.5 + step] for step in (1, 2, 3)]})["failed"]


class Story(unittest.TestCase):
    def test_a_run_as_it_should_be_holds(self):
        self.assertEqual(tell(Seen()), [])

    def test_a_checkpoint_that_was_not_whole_when_it_appeared_is_named(self):
        for files in ({".metadata": "11"}, {**FILES, "__0_0.distcp": "half"}, {**FILES, "more": "33"}):
            self.assertIn("not whole when it appeared, or is not what was saved: [2]", " ".join(tell(Seen(step2=files))))

    def test_one_that_appears_after_its_site_was_lost_is_not_believed(self):
        looker = Seen()
        looker.seen[3] = {"at": LOST_AT + 1, "files": FILES}
        self.assertEqual(tell(looker), ["a checkpoint appeared after its site was lost"])

    def test_what_verify_says_counts(self):
        self.assertEqual(len(tell(Seen(), verified={1: "", 2: "hash_mismatch"})), 1)

    def test_other_losses_or_an_early_end_are_not_the_same_training(self):
        self.assertEqual(tell(Seen(), second=run(3, 4, apart=0.001)), ["the training that went on at B is not the reference"])
        self.assertEqual(tell(Seen(), second=run(3, 3)), ["site B did not go on from step 2 to the end"])

    def test_the_ideal_waits_for_the_training_and_for_nothing_else(self):
        save = {"end": 20.0, "bytes": 10_000_000}
        alone, idle, unannounced = story.ideal_seconds(save, {}, [], CHOSEN)
        self.assertAlmostEqual(alone, 0.4324 + 0.01, places=3)
        self.assertEqual((alone, alone), (idle, unannounced))
        half = {2000 + i: (BIN_BYTES / 2, BIN_BYTES / 2) for i in range(200)}
        self.assertAlmostEqual(story.ideal_seconds(save, half, [], CHOSEN)[1], 2 * idle, delta=3 * story.BIN_S)
        self.assertAlmostEqual(story.ideal_seconds(save, {}, [[20.1, 20.5]], CHOSEN)[2], idle + 0.4, delta=2 * story.BIN_S)


if __name__ == "__main__":
    unittest.main()
