"""What every service is told by its environment."""

import sys
from typing import TypeVar

from pydantic import AmqpDsn, Field, PostgresDsn, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings common to all services, from variables that start with SLUICE_."""

    model_config = SettingsConfigDict(env_prefix="SLUICE_", frozen=True, hide_input_in_errors=True)

    database_url: PostgresDsn
    amqp_url: AmqpDsn
    bus_prefix: str = Field("sluice", description="name of the exchange, first part of every queue")
    http_host: str = Field("127.0.0.1", description="address the service's own API listens on")
    http_port: int = Field(0, description="its port; 0 picks a free one")
    ops_port: int = Field(0, description="port of /livez, /readyz and /metrics; 0 picks a free one")
    log_level: str = Field("info", description="debug, info, warning or error")
    pool_size: int = Field(8, ge=2, description="database connections of one replica")
    shutdown_grace_s: float = Field(20, gt=0, description="time for a replica to finish, seconds")


Chosen = TypeVar("Chosen", bound=BaseSettings)


def from_environment(settings: type[Chosen]) -> Chosen:
    """A service's settings, or a command's; when a variable is missing or wrong, a line for each
    that names it, and exit 2."""
    try:
        return settings()
    except ValidationError as error:
        prefix = settings.model_config.get("env_prefix", "")
        for fault in error.errors(include_url=False, include_input=False):
            name = "_".join(str(part) for part in fault["loc"])
            sys.stderr.write(f"{prefix}{name.upper()}: {fault['msg']}\n")
        sys.exit(2)
