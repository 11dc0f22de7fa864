"""`python -m benchmarks.race`, the same as `python -m benchmarks race`."""

from __future__ import annotations

import sys

from benchmarks.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["race", *sys.argv[1:]]))
