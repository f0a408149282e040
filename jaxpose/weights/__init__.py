"""Weights by address: fetched once, checked, and kept in a folder of this machine."""

from jaxpose.weights.address import Address, address_of
from jaxpose.weights.cache import cache_folder
from jaxpose.weights.fetching import checksum, fetch, local

__all__ = ["Address", "address_of", "cache_folder", "checksum", "fetch", "local"]
