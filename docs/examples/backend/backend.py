"""An integrator's back end: one endpoint that mints a client secret and creates the avatar's session."""

import os
from typing import Any

import httpx
from fastapi import FastAPI, HTTPException
from openai import APIStatusError, AsyncOpenAI

app = FastAPI()


@app.post("/avatar-session")
async def avatar_session() -> dict[str, Any]:
    """What the page needs to start its avatar."""
    async with AsyncOpenAI(max_retries=0, timeout=5) as openai:  # OPENAI_BASE_URL and OPENAI_API_KEY
        try:
            secret = await openai.realtime.client_secrets.create(
                expires_after={"anchor": "created_at", "seconds": 60},
                session={"type": "realtime", "model": "gpt-realtime-2.1"},
            )
        except APIStatusError as error:
            raise HTTPException(503, "the assistant is not available") from error
    engine = {"type": "openai-realtime", "client_secret": secret.value}
    async with httpx.AsyncClient(base_url=os.environ["AVATURN_BASE_URL"], timeout=10) as avaturn:
        created = await avaturn.post(
            "/api/v1/sessions",
            headers={"Authorization": f"Bearer {os.environ['AVATURN_API_KEY']}"},
            json={"conversation_engine": engine, "user_absent_timeout": 10},
        )
    if created.status_code != httpx.codes.OK:
        raise HTTPException(503, "the avatar is not available")
    answer: dict[str, Any] = created.json()
    return answer
