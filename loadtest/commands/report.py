"""`avaload report RUN_DIR`: the reports once more, from the journals. It prints the verdict, exits with its code.

Judged by other objectives, they are written beside: the run's own verdict stays what the run was asked for.
"""

import argparse
import re
from pathlib import Path
from typing import Final

from loadtest.commands import options
from loadtest.commands.printing import show
from loadtest.errors.exceptions import ConfigError
from loadtest.errors.exit_codes import Exit
from loadtest.journal import folder, run_of

EXAMPLE: Final = "avaload report runs/x --slo slo.toml"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which run, and by what it is judged."""
    parser.add_argument("run_dir", type=run_of, metavar="RUN_DIR", help="directory of the run")
    options.add_slo(parser)
    parser.add_argument("--json", action="store_true", help="print report.json on stdout")
    parser.add_argument("--baseline", type=run_of, metavar="RUN_DIR", help="say what changed since that run")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write the reports there (default: RUN_DIR; with --slo FILE: RUN_DIR/judged-<name of FILE>)",
    )


def main(arguments: argparse.Namespace) -> Exit:
    """Judges again."""
    from loadtest.config.settings import Settings
    from loadtest.criteria import slo
    from reports.build import build
    from reports.data.run_settings import scenario_names

    run_dir: Path = arguments.run_dir
    slos, judged_by = None, None
    if arguments.slo is not None:
        names, judged_by = scenario_names(run_dir), arguments.slo.name
        slos = slo.load_slos(arguments.slo, scenarios=names, beside=Settings.model_fields)
    out = _out(run_dir, arguments.out, judged_by=judged_by)
    report = build(run_dir, slos=slos, baseline=arguments.baseline, judged_by=judged_by, out=out)
    show(report, run_dir, as_json=arguments.json, out=out)
    return Exit(report["verdict"]["exit_code"])


def _out(run_dir: Path, given: Path | None, *, judged_by: str | None) -> Path:
    """Where the reports go. Raises ConfigError where a verdict of a run would be lost."""
    if given is None and judged_by is None:
        return run_dir
    if given is None:
        name = re.sub(r"[^\w.-]+", "-", Path(judged_by or "").stem).strip("-") or "slo"
        out = run_dir / f"judged-{name}"
        if out.is_symlink():  # a run directory may come from anybody
            raise ConfigError(f"{out}: is a link; say with --out where the reports go")
    else:
        out = given
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: is no directory")
    same = out.resolve() == run_dir.resolve()
    if same and judged_by is not None:
        raise ConfigError(f"--out {out}: there is the verdict by what the run itself asked for; name another directory")
    if not same and folder(out).exists():
        raise ConfigError(f"--out {out}: is the directory of another run; name another one")
    return out
