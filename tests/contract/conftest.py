"""The newest versions of others' packages are looked at by `make contract` alone: here they aren't installed."""

import os

from tests.programs import NEWEST

collect_ignore = [] if NEWEST in os.environ else ["newest"]
