"""What the collider is told by its environment, besides what all services are."""

from pydantic import Field, SecretStr

from shared.settings import Settings as Common


class Settings(Common):
    """The collider's settings."""

    telnyx_url: str = Field("https://api.telnyx.com/v2", description="base of the provider's API")
    telnyx_api_key: SecretStr
    telnyx_public_key: str = Field(description="its webhooks' Ed25519 public key, base64")
    look_ups: bool = Field(
        True, description="whether recipients' carriers are looked up; the provider charges for it"
    )
    webhook_url: str = Field(description="public base of this service's HTTP port")
    calls_most: int = Field(500, gt=0, description="calls under way at once, of one replica")
    call_timeout_s: float = Field(10, gt=0, description="longest wait for an answer, seconds")
    unrouted_most_s: float = Field(
        24 * 3600, gt=0, description="how long a text waits for its campaign's launch, seconds"
    )
    reply_most_s: float = Field(
        7 * 24 * 3600, gt=0, description="how long a reply waits to go, seconds"
    )
