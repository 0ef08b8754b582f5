"""What a worker's command says before anything is started: bad input, a master that isn't there or does not take it,
endpoints that nobody allowed."""

from pathlib import Path

import pytest

from loadtest import cli
from loadtest.config.keys.backend import BackendTarget
from loadtest.config.keys.cost import Cost
from loadtest.config.settings import Load, Settings, Target
from loadtest.distribution import worker
from loadtest.distribution.worker import Place, check_allowed, check_variables, own_limit, share, work
from loadtest.errors.exceptions import ConfigError, GeneratorError
from loadtest.events.kinds import WorkerChanged
from loadtest.preflight import machine
from tests.loadtest.distribution.master import TOKEN, Serving, serving
from tests.support import eventually, free_port

KEYS = {
    "OPENAI_API_KEY": "sk-something-1234",
    "AVATURN_API_KEY": "something",
    "AVALOAD_CLUSTER_TOKEN": TOKEN,
}
LOCAL = ("--openai-base-url", "http://127.0.0.1:1/v1", "--avaturn-base-url", "http://127.0.0.1:2")
NO_TWIN = (
    "target: a run over several hosts needs endpoints: the embedded twin is on loopback, and its keys don't travel"
    " (`avaload twin` serves one for all)"
)
NO_HOST = "is not the name of a host: leave out scheme, user, port and path"


def settings(*, processes: int = 2, host: str = "127.0.0.1", live: bool = False) -> Settings:
    target = Target(openai_base_url=f"https://{host}/v1", avaturn_base_url=f"https://{host}", live=live, max_sessions=9)
    return Settings(load=Load(users=4, processes=processes), target=target)


def place(port: int, directory: Path, *, processes: int = 1, allowed: frozenset[str] = frozenset()) -> Place:
    return Place(
        master_host="127.0.0.1",
        master_port=port,
        processes=processes,
        max_wait=5,
        run_dir=directory / "worker",
        allowed=allowed,
    )


def wait_for_leave(master: Serving) -> None:
    eventually(lambda: "leave" in master.heard, within_s=10, what="the worker's leave")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--worker",), ["--master-host: is missing"]),
        (
            ("--worker", "--master-host", "x", "--master-port", "y"),
            ["--master-port: must be a whole number; got 'y'"],
        ),
        (("--worker", "--master-host", "x", "--users", "3"), ["--users: a worker has it from its master"]),
        (("--worker", "--master-host", "x", "far.toml"), ["--scenario: a worker has it from its master"]),
        (("--worker", "--master-host", "x", "--prices", "p.toml"), ["--prices: a worker has it from its master"]),
        (
            ("--worker", "--master-host", "x", "--dry-run", "--answer", "3s"),
            [f"{option}: not for --worker: its master knows the plan" for option in ("--dry-run", "--answer")],
        ),
        (("--worker", "--master-host", "http://127.0.0.1"), [f"--master-host: {NO_HOST}"]),
        (("--worker", "--master-host", "a:5557"), [f"--master-host: {NO_HOST}"]),
        (("--worker", "--master-host", "x", "--allow-host", "https://u:s3cret@x"), [f"--allow-host: {NO_HOST}"]),
        (("--worker", "--master"), ["argument --master: not allowed with argument --worker .*"]),
        (("--master-host", "x"), ["--master-host: only for --worker"]),
        (("--master",), [NO_TWIN]),
        (
            ("--master", *LOCAL, "--expect-workers", "3", "--max-sessions", "2"),
            ["--max-sessions: 2 can't be shared by 3 load processes"],
        ),
        (
            ("--master", *LOCAL, "--master-bind-host", "192.0.2.1", "--metrics-port", "off"),
            ["--master-bind-host: 192.0.2.1: Cannot assign requested address; give an address of this machine"],
        ),
    ],
)
def test_what_can_not_work_is_said_in_a_line(
    words: tuple[str, ...],
    says: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)
    assert cli.main(["run", *words]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if "warning" not in line]
    assert len(said) == len(says)
    for line, pattern in zip(said, says, strict=True):
        assert line == f"avaload: {pattern}" or line.startswith(f"avaload: {pattern.removesuffix('.*')}"), line
    assert list(tmp_path.iterdir()) == []


def test_a_worker_without_keys_starts_nothing_and_gives_its_place_back(tmp_path: Path) -> None:
    with serving(settings(), tmp_path / "master") as master:
        with pytest.raises(ConfigError) as raised:
            work(place(master.port, tmp_path), environ={"AVATURN_API_KEY": "x", "AVALOAD_CLUSTER_TOKEN": TOKEN})
        assert raised.value.problems == ["OPENAI_API_KEY is not set in the environment"]
        assert not (tmp_path / "worker").exists()
        wait_for_leave(master)
    assert master.states() == ["joined", "withdrawn"]


def test_a_worker_without_a_master_gives_up_at_its_deadline(tmp_path: Path) -> None:
    port = free_port()
    nowhere = place(port, tmp_path).model_copy(update={"max_wait": 0.1})
    with pytest.raises(
        GeneratorError, match=f"no master at 127.0.0.1:{port} answered within 0.1 s .Connection refused"
    ):
        work(nowhere, environ=KEYS)
    assert list(tmp_path.iterdir()) == []


def test_a_worker_goes_only_where_it_was_allowed_to(tmp_path: Path) -> None:
    with serving(settings(host="far.invalid", live=True), tmp_path / "master") as master:
        with pytest.raises(ConfigError) as raised:
            work(place(master.port, tmp_path, allowed=frozenset({"near.invalid"})), environ=KEYS)
        assert raised.value.problems == [
            "the master's endpoints are on far.invalid: this worker needs --allow-host far.invalid"
        ]
        assert not (tmp_path / "worker").exists()
        wait_for_leave(master)
    assert master.states() == ["joined", "withdrawn"]


@pytest.mark.parametrize(("processes", "fits"), [(2, False), (1, False), (1, True)])
def test_a_worker_whose_machine_can_not_hold_its_part_leaves_and_its_master_says_why(
    processes: int, fits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hard = 1_000 if fits else machine.FILES_OF_A_PROCESS + 3
    monkeypatch.setattr(machine.resource, "getrlimit", lambda _: (hard, hard))
    monkeypatch.setattr(worker, "check_certificates", _fail_as_the_last_check)
    with serving(settings(), tmp_path / "master") as master:
        with pytest.raises(ConfigError) as raised:
            work(place(master.port, tmp_path, processes=processes), environ=KEYS)
        users = "4 users at once need" if processes == 2 else "2 users at once need"
        said = f"open files: a process may open {hard}, {users} about"
        assert raised.value.problems[0].startswith("all else was well" if fits else said)
        assert not (tmp_path / "worker").exists()
        wait_for_leave(master)
        eventually(lambda: master.hosts.why_left, within_s=5, what="the reason")
    assert master.states() == ["joined", "withdrawn"]
    assert raised.value.problems[0] in str(master.hosts.why_left)
    detail = next(e.detail for e in master.events if isinstance(e, WorkerChanged) and e.state == "withdrawn")
    assert detail == raised.value.problems[0]


def test_a_worker_whose_share_of_the_budget_is_below_one_session_starts_nothing(tmp_path: Path) -> None:
    """Its master says so itself, unless it is of another mind about what a session costs."""
    cost = Cost(budget=0.01, prices={"avatar": {"per_minute": 0.1}})
    with serving(settings().model_copy(update={"cost": cost}), tmp_path / "master") as master:
        with pytest.raises(
            ConfigError, match=r"cost\.budget: 0\.005 USD is less than the \d+\.\d\d USD that one session"
        ):
            work(place(master.port, tmp_path), environ=KEYS)
        assert not (tmp_path / "worker").exists()
        wait_for_leave(master)
    assert master.states() == ["joined", "withdrawn"]


def _fail_as_the_last_check(_target: Target) -> None:
    raise ConfigError("all else was well")


@pytest.mark.parametrize("hard", [64, 1_000])
def test_a_master_of_others_is_not_asked_for_what_its_workers_need(
    hard: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine.resource, "getrlimit", lambda _: (hard, hard))
    assert [each.name for each in machine.examine(settings(), tmp_path, processes=0)] == ["disk"]
    all_here = machine.examine(settings(), tmp_path)
    assert [each.name for each in all_here] == ["open files", "local ports", "disk", "memory"]
    assert (machine.bad(all_here) == []) is (hard == 1_000)


def test_a_proxy_is_an_endpoint_too_and_loopback_needs_no_allowance() -> None:
    check_allowed(settings(), frozenset())
    proxied = settings().target.model_copy(update={"proxy": "http://proxy.invalid:3128"})
    with pytest.raises(ConfigError, match=r"proxy\.invalid"):
        check_allowed(settings().model_copy(update={"target": proxied}), frozenset())


@pytest.mark.parametrize(
    ("processes", "begun", "says"),
    [
        (3, False, "it has 3 load processes, the master expects 2 more of 2"),
        (1, True, "the run has begun without it"),
    ],
)
def test_a_worker_that_is_too_much_or_too_late_is_told_so_and_counted(
    tmp_path: Path, processes: int, begun: bool, says: str
) -> None:
    with serving(settings(), tmp_path / "master", begun=begun) as master:
        for _ in range(2):
            with pytest.raises(GeneratorError) as raised:
                work(place(master.port, tmp_path, processes=processes), environ=KEYS)
            assert str(raised.value) == f"the master at 127.0.0.1:{master.port} does not take this worker: {says}"
        assert master.states() == ["refused", "refused"]
    assert list((tmp_path).iterdir()) == [tmp_path / "master"]


def test_a_scenario_reads_no_variable_of_a_worker_that_was_not_allowed() -> None:
    backend = BackendTarget(url="http://127.0.0.1:1/s", headers={"A": "env:SHOP_TOKEN", "B": "env:HOME", "C": "plain"})
    reading = settings().model_copy(update={"target": settings().target.model_copy(update={"backend": backend})})
    check_variables(settings(), frozenset())
    check_variables(reading, frozenset({"SHOP_TOKEN", "HOME"}))
    with pytest.raises(ConfigError) as raised:
        check_variables(reading, frozenset({"SHOP_TOKEN"}))
    assert raised.value.problems == ["the master's scenario reads HOME here: this worker needs --allow-env HOME"]


@pytest.mark.parametrize(("own", "of_master", "expected"), [(3, 9, 3), (7, 9, 4), (None, 9, 4), (3, None, 3)])
def test_a_workers_own_limit_of_sessions_holds_whatever_its_master_says(
    own: int | None, of_master: int | None, expected: int
) -> None:
    assert own_limit(own, of_master, numbers=[1], processes=2) == expected


def test_the_shares_of_a_limit_add_up_to_it() -> None:
    assert [share(10, number, 4) for number in range(4)] == [3, 3, 2, 2]
    assert sum(share(21, number, 2) for number in range(2)) == 21
