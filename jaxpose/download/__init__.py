"""Download of weights by address: fetched once, checked, and cached on this machine."""

from jaxpose.download.address import Address, address_of
from jaxpose.download.fetch import checksum, fetch, local

__all__ = ["Address", "address_of", "checksum", "fetch", "local"]
