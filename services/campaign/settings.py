"""What the campaign service is told by its environment, besides what all services are."""

from pydantic import Field, HttpUrl, SecretStr

from shared.settings import Settings

TOKEN_DAYS = 90


class CampaignSettings(Settings):
    """From variables that start with SLUICE_."""

    api_pool_size: int = Field(
        8, ge=2, description="database connections of one replica's HTTP API, besides POOL_SIZE"
    )
    token_days: int = Field(TOKEN_DAYS, ge=1, le=3650, description="how long a token is good, days")
    public_url: HttpUrl | None = Field(
        None, description="address by which people reach the API, for the links that they share"
    )
    contacts_most: int = Field(1_000_000, gt=0, description="contacts of one list")
    upload_most_mb: int = Field(256, gt=0, description="size of one upload, megabytes")
    upload_idle_s: float = Field(
        30, gt=0, description="an upload that stands still for so long is given up, seconds"
    )
    webhook_master_key: SecretStr | None = Field(
        None,
        min_length=32,
        description="from which organizations' webhook keys are derived, the notifier's as well",
    )
    webhooks_private_allowed: bool = Field(
        False, description="whether webhooks may go to http and to private networks"
    )
