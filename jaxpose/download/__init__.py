"""Weights by address: fetched once, checked, and kept in a folder of this machine."""

from jaxpose.download.address import Address, address_of
from jaxpose.download.fetch import checksum, fetch, local

__all__ = ["Address", "address_of", "checksum", "fetch", "local"]
