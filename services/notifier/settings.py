"""What the notifier is told by its environment."""

import re
from email.headerregistry import Address
from email.utils import parseaddr
from typing import Literal

from pydantic import DirectoryPath, Field, SecretStr, field_validator

from shared.settings import Settings as CommonSettings


class Settings(CommonSettings):
    """The common settings, and those of the notifier."""

    smtp_host: str = Field("127.0.0.1", description="mail server that takes our e-mails")
    smtp_port: int = Field(25, description="its port")
    smtp_tls: Literal["none", "starttls", "tls"] = Field(
        "none", description="none, starttls (encrypt after the greeting) or tls (from the start)"
    )
    smtp_username: str | None = Field(None, description="to log in with, if the server asks for it")
    smtp_password: SecretStr | None = Field(None, description="and its password")
    smtp_timeout_s: float = Field(
        60,
        gt=0,
        description="for each answer of the server, seconds: some scan a letter before they answer",
    )
    mail_from: str = Field("Sluice <sluice@localhost>", description="sender of our e-mails")
    campaign_link: str | None = Field(
        None, description="a campaign's address, with {org_id} and {campaign_id}; none: no link"
    )
    templates: DirectoryPath | None = Field(
        None, description="folder with templates that count before the built-in ones"
    )
    webhook_master_key: SecretStr | None = Field(
        None,
        min_length=32,
        description="the campaign service's too: organizations' keys are derived of it. "
        "Without it no webhook is posted",
    )
    webhooks_private_allowed: bool = Field(
        False, description="post webhooks to private addresses, and by plain HTTP, too"
    )

    @field_validator("mail_from")
    @classmethod
    def _an_address(cls, text: str) -> str:
        name, address = parseaddr(text)
        try:
            Address(name, addr_spec=address)
        except (ValueError, IndexError):
            raise ValueError("must be an address, or a name and an address in <>") from None
        return text

    @field_validator("campaign_link")
    @classmethod
    def _a_link(cls, text: str | None) -> str | None:
        rest = (text or "").replace("{org_id}", "").replace("{campaign_id}", "")
        if text is not None and re.fullmatch(r"https?://[^{}\s]+", rest) is None:
            raise ValueError(
                "must begin with http:// or https://; in braces it may have {org_id} and "
                "{campaign_id}, and nothing else"
            )
        return text
