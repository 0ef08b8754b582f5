"""`python -m loadtest.twin`."""

import sys

from loadtest.twin import main

sys.exit(main())
