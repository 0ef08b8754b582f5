"""A mistake of avaload's own in a process that nobody sees: one line for the person, the log's path in it, exit 4."""

import sys
import sysconfig
from pathlib import Path

import pytest

from loadtest.errors.exit_codes import Exit
from tests.support import avaload

SHORT = ("--room", "none", "--users", "2", "--duration", "3s", "--ramp", "0s", "--pacing", "300ms")
BREAKING = """
import sys
if {module!r} in sys.orig_argv:
    import {at} as broken
    whole, calls = broken.{what}, [0]
    def part(*given, **named):
        calls[0] += 1
        if calls[0] >= {from_call}:
            raise KeyError("a mistake, with sk-proj-0123456789abcdef0123456789abcdef in it")
        return whole(*given, **named)
    broken.{what} = part
"""
ENGINE, LOAD = "loadtest.engine.process", "loadtest.locust_main"


def a_python_that_breaks(folder: Path, module: str, at: str, what: str, from_call: int) -> Path:
    """An interpreter like this one, in whose processes of that module a function raises from a call on."""
    library = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    library.mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(sys.executable)
    home = Path(sys._base_executable).resolve().parent  # type: ignore[attr-defined]
    (folder / "pyvenv.cfg").write_text(f"home = {home}\ninclude-system-site-packages = false\n")
    ours = sysconfig.get_paths()["purelib"]
    (library / "breaking_of_the_test.py").write_text(
        BREAKING.format(module=module, at=at, what=what, from_call=from_call)
    )
    (library / "a.pth").write_text(f"import site; site.addsitedir({ours!r})\nimport breaking_of_the_test\n")
    return folder / "bin" / "python"


@pytest.mark.parametrize(
    ("module", "at", "what", "from_call"),
    [
        (ENGINE, "loadtest.journal", "first_line", 1),
        (ENGINE, "loadtest.engine.health", "Health.sample", 2),
        (ENGINE, "loadtest.engine.health", "Health.lag", 50),
        (ENGINE, "loadtest.session.lifecycle", "Ticket", 3),
        (ENGINE, "loadtest.session.lifecycle", "Lifecycle.__init__", 2),
        (LOAD, "loadtest.load.conductor", "LoadProcess.__init__", 1),
        (LOAD, "loadtest.load.conductor", "LoadProcess.run_session", 3),
        (LOAD, "loadtest.engine.client", "EngineClient._hear", 10),
    ],
)
def test_a_mistake_in_a_process_that_nobody_sees_is_one_line_with_the_path_of_its_log(
    module: str, at: str, what: str, from_call: int, tmp_path: Path
) -> None:
    python = a_python_that_breaks(tmp_path / "python", module, at, what, from_call)
    with avaload("run", *SHORT, cwd=tmp_path, python=python) as run:
        done = run.finish(within_s=110)
    log = run.run_dir / "locust.log"
    assert done.code == Exit.INVALID, (done, run.log())
    assert "Traceback" not in done.err + done.out
    assert [line for line in done.err_lines if str(log) in line and line.startswith("avaload: ")] != []
    assert len([line for line in done.err_lines if str(log) in line]) == 1
    assert "a mistake, with" in run.log()
    assert "sk-proj-0123" not in run.log() + done.err + done.out
