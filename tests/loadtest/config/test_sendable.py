"""What is taken for the name of a host."""

from urllib.parse import urlsplit

import pytest

from loadtest.config.sendable import host_name


@pytest.mark.parametrize(
    "given",
    [
        "api.example.com",
        "API.Example.com",
        "10.0.0.7",
        "[2001:DB8::7]",
        "2001:db8::7",
        "::1%lo",
        "bücher.example",
        "a_b",
    ],
)
def test_a_host_is_called_as_it_is_in_a_url(given: str) -> None:
    authority = f"[{given}]" if ":" in given and not given.startswith("[") else given
    assert host_name(given) == urlsplit(f"https://{authority}:8443/v1").hostname


@pytest.mark.parametrize(
    "given",
    [
        "https://x.example",
        "x.example:443",
        "x.example/v1",
        "u@x.example",
        "[::1]:80",
        "[x]",
        "*",
        "*.x.example",
        "",
        "a b",
    ],
)
def test_what_is_no_host_is_said_and_not_said_again(given: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a host: leave out scheme, user, port and path"):
        host_name(given)
