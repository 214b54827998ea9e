"""What the provisioner is told by its environment."""

from pydantic import Field, HttpUrl, SecretStr

from services.provisioner.domain import Patience
from shared.settings import Settings as CommonSettings


class Settings(CommonSettings):
    """The common settings, and those of the provisioner."""

    telnyx_url: HttpUrl = Field(
        HttpUrl("https://api.telnyx.com/v2"), description="base of the provider's API"
    )
    telnyx_api_key: SecretStr = Field(description="its bearer token")
    telnyx_timeout_s: float = Field(15, gt=0, description="for one call to it, seconds")
    telnyx_profile_id: str | None = Field(
        None, description="messaging profile for numbers of use cases that name none"
    )
    poll_s: float = Field(
        2, gt=0, description="between two looks in a step's first minute, seconds"
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

    @property
    def patience(self) -> Patience:
        """All of the waiting in one value."""
        return Patience(self.poll_s, self.poll_most_s, self.look_up_s, self.confirmation_limit_s)
