"""What a create's answer says, a broken one included: whatever has an id may have made a session, which is to be
deleted.
"""

import asyncio
from typing import Any

from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import SecretKind
from loadtest.secrecy.redact import remember, reveals
from loadtest.session.ports import Call, Created
from loadtest.text.validation import json_object, salvaged_id, session_id, token


def created(told_id: Any, told_token: Any, what: str) -> Created:
    """Of the two values that `what` has for an id and a token. Raises StepError where there is no id to delete by."""
    found, flaw = session_id(told_id, f"{what}'s session id")
    _check_tells_nothing(found)
    try:
        return Created(target_session_id=found, token=token(told_token, f"{what}'s token"), flaw=flaw)
    except StepError as error:
        return Created(target_session_id=found, token="", flaw=flaw or error)


def of_answer(body: bytes, call: Call) -> Created:
    """Of a good answer of the public API to that call, whoever made it. Raises StepError where it has no id."""
    what = "the create's answer"
    try:
        fields = json_object(body, what)
    except StepError as error:
        return salvaged(body, error)
    return known(created(fields.get("session_id"), fields.get("token"), what), call)


def known(made: Created, call: Call) -> Created:
    """The same; from here on its token is a secret that was sent."""
    call.watch.sends(SecretKind.SESSION_TOKEN, made.token)
    remember(made.token, owner=call.watch)
    return made


def salvaged(body: bytes, flaw: StepError, *, key: str = "session_id") -> Created:
    """Of a body that can't be read as a whole. Raises `flaw` where no id can be found in it."""
    found = salvaged_id(body, key)
    if found is None:
        raise flaw
    _check_tells_nothing(found)
    return Created(target_session_id=found, token="", flaw=flaw)


def salvaged_from_call(call: Call, error: StepError | asyncio.CancelledError, *, key: str = "session_id") -> Created:
    """Of a call that broke off in the middle of a good answer. Raises `error` where no id had come yet."""
    if call.http_status is None or call.http_status // 100 != 2:
        raise error
    found = salvaged_id(call.body_so_far, key)
    if found is None:
        raise error
    _check_tells_nothing(found)
    return Created(target_session_id=found, token="", flaw=error if isinstance(error, StepError) else None)


def _check_tells_nothing(found: str) -> None:
    """An id is written down, to be deleted by. Raises StepError for one that is made of what was sent in secret."""
    if reveals(found):
        raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, "the session id that was answered holds a key or a token")
