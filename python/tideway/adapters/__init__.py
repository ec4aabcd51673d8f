# SPDX-License-Identifier: Apache-2.0
"""How the frameworks meet the package. Each module imports its framework inside a function, and says at its top what it was run
against. A trouble of ours never reaches the training: see guard.py.
"""
