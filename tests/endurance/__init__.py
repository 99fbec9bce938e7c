"""Long runs against everything that can go wrong, as commands: `python -m tests.endurance NAME [--seed N] [--short]`.

Each prints one line with its figures, ends with 0 where it passes and with 1 where it does not.
"""
