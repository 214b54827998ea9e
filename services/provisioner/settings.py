"""What the provisioner is told by its environment."""

from pydantic import Field, HttpUrl, SecretStr

from services.provisioner.domain import FAST_FOR_S, Patience
from shared.settings import Settings as CommonSettings


class Settings(CommonSettings):
    """The common settings, and those of the provisioner."""

    telnyx_url: HttpUrl = Field(
        HttpUrl("https://api.telnyx.com/v2"), description="base of the provider's API"
    )
    telnyx_api_key: SecretStr = Field(description="its bearer token")
    telnyx_public_key: str | None = Field(
        None,
        description="its webhooks' Ed25519 public key, base64; without it carriers' words are "
        "asked for, and no webhook is taken",
    )
    telnyx_timeout_s: float = Field(15, gt=0, description="for one call to it, seconds")
    telnyx_profile_id: str | None = Field(
        None, description="messaging profile for numbers of use cases that name none"
    )
    poll_s: float = Field(
        2, gt=0, description="between two looks at something that is expected in a moment, seconds"
    )
    poll_fast_s: float = Field(
        FAST_FOR_S, ge=0, description="so long in a step it is, seconds; then looks get rarer"
    )
    poll_most_s: float = Field(
        300, gt=0, description="between two looks when it takes hours, seconds"
    )
    look_up_s: float = Field(
        120, gt=0, description="how long a purchase whose answer was lost is looked for, seconds"
    )
    confirmation_limit_s: float = Field(
        72 * 3600, gt=0, description="from the launch until a campaign counts as failed, seconds"
    )

    numbers_most: int = Field(
        49, ge=1, description="numbers on one use case at once, pending ones too"
    )
    release_after_s: float = Field(
        24 * 3600,
        ge=0,
        description="from the archive of the last campaign on a number until it is given back, "
        "seconds: receipts and answers still come",
    )
    keep_last_number: bool = Field(
        False, description="keep a use case's last number: an empty use case may cost a fee"
    )
    reconcile_every_s: float = Field(
        3600,
        gt=0,
        description="from one look at all numbers of the provider's account to the next, seconds",
    )

    @property
    def patience(self) -> Patience:
        """All of the waiting in one value."""
        return Patience(
            self.poll_s,
            self.poll_most_s,
            self.look_up_s,
            self.confirmation_limit_s,
            self.release_after_s,
            self.poll_fast_s,
        )
