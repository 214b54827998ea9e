"""The sandbox's settings, from the environment (prefix SLUICE_)."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """All of them, with defaults for one machine."""

    model_config = SettingsConfigDict(env_prefix="SLUICE_", frozen=True, hide_input_in_errors=True)

    http_host: str = "127.0.0.1"
    http_port: int = Field(8400, ge=0, le=65535)
    """Provider API (/v2), control (/sandbox), judge (/judge), health."""
    ops_port: int | None = Field(None, ge=0, le=65535)
    """A port of its own for /livez and /readyz; unset: only the main port has them."""
    telnyx_api_key: str = ""
    """The bearer token that the provider API asks for; empty: any will do."""
    sandbox_seed: str = "sluice"
    """Draws everything that is drawn, and the webhook signing key."""
    sandbox_behaviour: str = "{}"
    """The first behaviour, as JSON; see services/sandbox/behaviour.py."""
    log_level: str = "INFO"
    shutdown_grace_s: float = Field(5, ge=0)
