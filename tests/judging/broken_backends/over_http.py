"""What a backend can break in its HTTP alone."""

from typing import Final

from tests.judging.broken_backends import (
    creates_over_http,
    endings_over_http,
    expiry_over_http,
    honest_over_http,
    refusals_over_http,
)

BREAKAGES: Final = (
    *expiry_over_http.BREAKAGES,
    *creates_over_http.BREAKAGES,
    *endings_over_http.BREAKAGES,
    *refusals_over_http.BREAKAGES,
    *honest_over_http.BREAKAGES,
)
