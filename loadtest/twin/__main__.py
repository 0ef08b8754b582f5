"""`python -m loadtest.twin`."""

import sys

from avaload import guarded
from loadtest.twin import main

sys.exit(guarded(main))
