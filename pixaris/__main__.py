"""``python -m pixaris``."""

import sys

from pixaris.cli import main

sys.exit(main())
