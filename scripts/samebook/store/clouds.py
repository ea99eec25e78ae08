"""Buckets of Google and containers of Azure, to read from: by the variables of their own clients.

https://docs.rs/object_store/latest/object_store/gcp/enum.GoogleConfigKey.html
https://docs.rs/object_store/latest/object_store/azure/enum.AzureConfigKey.html
"""

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from samebook.core.errors import UsageError
from samebook.environment.input_entries import FILE
from samebook.store import bucket
from samebook.store.bucket import Bucket


@dataclass(frozen=True)
class Cloud:
    """A cloud: the variable with the address of another server than its own, and the one with a key."""

    name: str
    endpoint: str
    key: str

    @property
    def mends(self) -> dict[str, str]:
        """The command that mends each error."""
        return {
            "no bucket": f"edit {FILE}: from",
            "no access": f"export {self.key}=…",
            "bad answer": "make fetch",
            "no answer": f"echo ${self.endpoint}",
        }


GOOGLE = Cloud("Google", "GOOGLE_BASE_URL", "GOOGLE_APPLICATION_CREDENTIALS")
AZURE = Cloud("Azure", "AZURE_STORAGE_ENDPOINT", "AZURE_STORAGE_ACCOUNT_KEY")
CLOUDS = {"gs": GOOGLE, "az": AZURE}
# What is wrong with which variable, by the library's own word for it; its message may hold the key.
WRONG = {
    "MissingAccount": ("AZURE_STORAGE_ACCOUNT_NAME", "is not set"),
    "InvalidAccessKey": (AZURE.key, "is not a key"),
    "Sas": ("AZURE_STORAGE_SAS_TOKEN", "is not a shared access signature"),
    "OpenCredentials": (GOOGLE.key, "names no file that can be read"),
    "GCS": (GOOGLE.key, "has no account"),
}


def connect(url: str) -> Bucket:
    """The bucket of a URL, gs://bucket or az://container. Raises UsageError without an account that can be used."""
    cloud = CLOUDS[urlsplit(url).scheme]
    endpoint = urlsplit(os.environ.get(cloud.endpoint, ""))
    if endpoint.path and not endpoint.hostname:
        raise UsageError(
            f"{url} can't be used: {cloud.endpoint} is not a URL", mend=f"export {cloud.endpoint}=https://…"
        )
    try:
        store = bucket.opened(url, allow_http=endpoint.scheme == "http")
    except ValueError as error:
        name, problem = next((wrong for text, wrong in WRONG.items() if text in str(error)), (FILE, "has no such URL"))
        mend = f"edit {FILE}" if name == FILE else f"export {name}=…"
        raise UsageError(f"{url} can't be used: {name} {problem}", mend=mend) from None
    # Of an address of one's own the host alone: it may have a signature.
    return Bucket(url, endpoint.hostname or cloud.name, "", store, store, cloud.mends, "variables")
