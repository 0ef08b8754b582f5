"""`python -m avaload`."""

import sys

from avaload import entry

sys.exit(entry())
