"""`python -m mmmc`: the command line."""

from mmmc.cli import main

raise SystemExit(main())
