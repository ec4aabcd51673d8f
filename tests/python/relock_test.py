# SPDX-License-Identifier: Apache-2.0
"""How perf/tide counts the iterations until a training is locked."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "perf" / "tide"))
import relock  # noqa: E402

SECOND = 10**9


class UntilLocked(unittest.TestCase):
    def test_counts_the_iterations_that_had_begun_when_the_gateway_knew_the_new_period(self):
        begins = [int(at * SECOND) for at in (1, 2.2, 3.4, 4.6, 5.8, 7)]
        seen = [(int(at * SECOND), predictor, period) for at, predictor, period in (
            (0.9, "locked", 1.2),  # before the first of them
            (1.1, "locked", 1.0), (2.3, "acquiring", None), (3.5, "acquiring", 1.2), (4.7, "locked", 1.07), (5.9, "locked", 1.21), (7.1, "locked", 1.2))]
        self.assertEqual(relock.until_locked(begins, seen, 1.2, 0.05), 5)

    def test_one_that_is_never_locked_has_no_number(self):
        begins = [1 * SECOND, 2 * SECOND]
        self.assertIsNone(relock.until_locked(begins, [(3 * SECOND, "acquiring", 1.0), (4 * SECOND, "locked", 2.0)], 1.0, 0.05))


if __name__ == "__main__":
    unittest.main()
