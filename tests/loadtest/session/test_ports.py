from pathlib import Path

import pytest

from loadtest import session
from loadtest.events import kinds as events
from loadtest.rooms import app_messages

PACKAGE = Path(str(session.__file__)).parent
NAMES = [value for name, value in vars(app_messages).items() if name.isupper() and isinstance(value, str)]


@pytest.mark.parametrize("path", [*sorted(PACKAGE.glob("*.py")), Path(events.__file__)], ids=lambda path: path.name)
def test_what_a_session_is_speaks_no_vendors_word(path: Path) -> None:
    text = path.read_text().lower()
    vendors = [word for word in ("avaturn", "openai") if word in text]
    told = [name for name in NAMES if f'"{name}"' in text and name != app_messages.ERROR]
    assert (vendors, told) == ([], [])
    assert app_messages.OF_USER in NAMES
