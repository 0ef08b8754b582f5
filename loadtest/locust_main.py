"""A load process: `python -m loadtest.locust_main` is Locust with our locustfile, whatever lies around.

Locust reads `~/.locust.conf`, and `locust.conf` and `pyproject.toml` of the working directory, before it reads a
locustfile; and it looks for modules in the working directory. In a run of ours none of it may steer the load. Whoever
starts `locust -f` himself has his own configuration as ever.
"""

import sys
from typing import Any

from locust import argument_parser, main
from locust.util.load_locustfile import is_user_class

from loadtest.secrecy.redact import guard_stderr
from loadtest.text.outlets import keep_safe

_parser = argument_parser.get_empty_argument_parser


def without_files(*args: Any, **kwargs: Any) -> Any:
    """Locust's parser of options, without its default configuration files."""
    return _parser(*args, **{**kwargs, "default_config_files": ()})


def our_users(_path: str) -> tuple[dict[str, Any], list[Any]]:
    """The user classes of our locustfile, imported as the module that it is: nothing is put on the module path."""
    from loadtest import locustfile

    return {name: each for name, each in vars(locustfile).items() if is_user_class(each)}, []


if __name__ == "__main__":
    keep_safe()
    guard_stderr()
    argument_parser.get_empty_argument_parser = without_files
    main.load_locustfile = our_users
    sys.exit(main.main())
