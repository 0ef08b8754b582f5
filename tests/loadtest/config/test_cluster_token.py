"""Where the cluster token comes from, and where there must be one."""

import os
from pathlib import Path

import pytest

from loadtest.config.access.cluster import MIN_CHARACTERS, OF_ACCOUNT, cluster_token, fresh_token
from loadtest.errors.exceptions import ConfigError
from loadtest.system import disk

TOKEN = "a token of the tests"


def token(host: str = "127.0.0.1", *, file: Path | None = None, role: str = "master", **environ: str) -> str:
    return cluster_token(host, file=file, environ=environ, role=role)


def test_a_file_wins_over_the_environment_and_that_over_the_accounts_own(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("a token of a file\n")
    assert token(file=file, AVALOAD_CLUSTER_TOKEN=TOKEN, HOME=str(tmp_path)) == "a token of a file"
    assert token("10.0.0.5", AVALOAD_CLUSTER_TOKEN=TOKEN, HOME=str(tmp_path)) == TOKEN
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("host", ["0.0.0.0", "*", "::", "10.0.0.5", "load.invalid", ""])
def test_beyond_loopback_there_must_be_one(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigError, match="needs the cluster token: set AVALOAD_CLUSTER_TOKEN"):
        token(host, HOME=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "::1"])
def test_on_loopback_the_processes_of_an_account_share_one_that_nobody_else_can_read(tmp_path: Path, host: str) -> None:
    first = token(host, HOME=str(tmp_path))
    assert token(host, role="worker", HOME=str(tmp_path)) == first
    path = tmp_path / OF_ACCOUNT
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert len(first) == len(fresh_token()) == 64
    assert fresh_token() != fresh_token()


def test_a_token_of_the_account_that_others_could_have_written_or_read_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / OF_ACCOUNT
    token(HOME=str(tmp_path))
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="not a file of this account alone"):
        token(HOME=str(tmp_path))
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(ConfigError, match="not a file of this account alone"):
        token(HOME=str(tmp_path))
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_text(TOKEN)
    with pytest.raises(ConfigError, match="cluster-token"):
        token(HOME=str(tmp_path))


@pytest.mark.parametrize("bad", ["x" * (MIN_CHARACTERS - 1), "x" * 4097, "a token with\nanother line", "  "])
def test_what_is_no_token_is_said(bad: str) -> None:
    with pytest.raises(ConfigError, match=r"AVALOAD_CLUSTER_TOKEN: .* 12 to 4,096 printable characters"):
        token(AVALOAD_CLUSTER_TOKEN=bad)


@pytest.mark.parametrize("written", [b"\xef\xbb\xbf%b\r\n", b"%b\r\n", b"  %b\n\n"])
def test_what_an_editor_puts_around_a_token_is_no_part_of_it(tmp_path: Path, written: bytes) -> None:
    (tmp_path / "token").write_bytes(written % TOKEN.encode())
    assert token("10.0.0.5", file=tmp_path / "token") == TOKEN


def test_a_token_can_come_through_a_pipe_and_nobody_waits_for_one_that_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    os.write(writer, TOKEN.encode())
    os.close(writer)
    assert token("10.0.0.5", file=Path(f"/dev/fd/{reader}")) == TOKEN
    os.close(reader)
    monkeypatch.setattr(disk, "_PIPE_S", 0.0)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR)
    with pytest.raises(ConfigError, match=r"--token-file: .*pipe: a pipe from which nothing came within"):
        token("10.0.0.5", file=pipe)
    os.close(held)


def test_a_file_that_can_not_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--token-file: .*none: No such file or directory"):
        token(file=tmp_path / "none")
    (tmp_path / "bad").write_bytes(b"\xff" * 40)
    with pytest.raises(ConfigError, match=r"--token-file: .*bad: not in UTF-8"):
        token(file=tmp_path / "bad")
