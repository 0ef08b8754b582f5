"""Ports that a run listens on: what is said where one can't be taken."""

import socket

import pytest

from loadtest.errors.exceptions import ConfigError
from loadtest.processes.tcp_ports import bind_metrics, check_port_free
from tests.support import free_port


def test_metrics_are_served_at_an_address_of_ipv6_too() -> None:
    try:
        listener = bind_metrics(free_port(), "::1")
    except ConfigError as error:
        pytest.skip(f"no IPv6 on this machine: {error}")
    assert listener is not None
    with listener:
        assert (listener.family, listener.getsockname()[0]) == (socket.AF_INET6, "::1")


def test_an_address_that_is_none_of_this_machines_is_said_of_the_address() -> None:
    host = "192.0.2.7"  # of documents alone
    with pytest.raises(ConfigError) as metrics:
        bind_metrics(free_port(), host)
    with pytest.raises(ConfigError) as master:
        check_port_free(free_port(), "distribution.bind_port", host)
    for error, name in ((metrics, "output.metrics_host"), (master, "distribution.bind_host")):
        said = f"{name}: {host}: Cannot assign requested address; give an address of this machine"
        assert error.value.problems == [said]


def test_a_port_that_is_taken_is_said_of_the_port() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError) as found:
            bind_metrics(port)
    said = f"output.metrics_port: {port} on 127.0.0.1: Address already in use"
    assert found.value.problems == [f"{said}; choose another with --metrics-port N, or off"]
