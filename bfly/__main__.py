"""``python -m bfly``."""

import sys

from bfly.cli import main

sys.exit(main())
