"""The HTTP lifecycle as anybody would write it for plain Locust: four calls by `FastHttpUser`, no pause.

It measures nothing but what Locust's own table shows, keeps no record and proves nothing; `plain_locust` sets it beside
avaload. Its target is in `OPENAI_BASE_URL`, `AVATURN_BASE_URL` and the two keys.
"""

import os
from typing import Any

from locust import FastHttpUser, task

from loadtest.config.keys.session_object import default_realtime

OPENAI, AVATURN = os.environ["OPENAI_BASE_URL"], os.environ["AVATURN_BASE_URL"]
OPENAI_KEY = {"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}
AVATURN_KEY = {"Authorization": f"Bearer {os.environ['AVATURN_API_KEY']}"}
_SESSION = default_realtime() | {"model": "gpt-realtime"}
_SESSION["audio"]["input"]["transcription"] = {"model": "whisper-1"}
SECRET = {"expires_after": {"anchor": "created_at", "seconds": 600}, "session": _SESSION}


class Plain(FastHttpUser):
    host = AVATURN

    @task
    def lifecycle(self) -> None:
        secret = self._json("POST", f"{OPENAI}/realtime/client_secrets", OPENAI_KEY, json=SECRET)["value"]
        engine = {"type": "openai-realtime", "client_secret": secret}
        create = {"conversation_engine": engine, "user_absent_timeout": 10}
        session = self._json("POST", f"{AVATURN}/api/v1/sessions", AVATURN_KEY, json=create)
        token = {"X-Session-Token": session["token"]}
        assert self._json("GET", f"{AVATURN}/_sdk/v0/sessions", token)["room_url"]
        name = session["session_id"]
        self._json("DELETE", f"{AVATURN}/api/v1/sessions/{name}", AVATURN_KEY, name="/api/v1/sessions/[id]")

    def _json(self, method: str, url: str, headers: dict[str, str], **more: Any) -> Any:
        with self.client.request(method, url, headers=headers, **more) as response:
            response.raise_for_status()
            return response.json() if response.content else {}
