"""What a company sets for all programs is used, or said not to be."""

import os

import pytest

from loadtest.config.environment import NOT_USED, forget_steering, of_child


@pytest.fixture(autouse=True)
def nobody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that this test did not set are out of its way, and back afterwards."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("name", NOT_USED)
def test_what_is_not_used_is_said_in_a_line_and_reaches_nobody(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://collector.example")
    (note,) = forget_steering()

    assert note == f"{name} is not used: {NOT_USED[name]}"
    assert name not in os.environ
    assert name not in of_child()


@pytest.mark.parametrize(
    "name",
    [
        *("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_EXPORTER_OTLP_HEADERS"),
        *("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"),
        *("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_KEY"),
        *("OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY"),
    ],
)
def test_what_is_used_reaches_the_processes_that_send_and_nothing_is_said(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "team=a")

    assert forget_steering() == []
    assert of_child()[name] == "team=a"


def test_all_else_that_is_set_for_opentelemetry_is_said_to_be_unused_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setenv("OTEL_PROPAGATORS", "nonsense")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "30000")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "avatar-load")
    notes = forget_steering()

    assert notes[0] == f"OTEL_SDK_DISABLED is not used: {NOT_USED['OTEL_SDK_DISABLED']}"
    assert [set(note.removeprefix("not used: ").split(", ")) for note in notes[1:]] == [
        {"OTEL_PROPAGATORS", "OTEL_EXPORTER_OTLP_TIMEOUT"}
    ]
    assert "OTEL_PROPAGATORS" not in os.environ


def test_what_would_only_steer_another_library_goes_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEVENT_LOOP", "nonsense")

    assert forget_steering() == []
    assert "GEVENT_LOOP" not in os.environ
