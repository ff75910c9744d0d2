"""``python -m handlens``: the command line, where it is not installed as a command."""

import sys

from .cli import main

sys.exit(main())
