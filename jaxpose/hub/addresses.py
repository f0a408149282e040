"""Addresses of published weights; light to import, unlike the loading of models."""

from dataclasses import replace

from jaxpose.download.address import MIRROR_VARIABLE, Address, address_of
from jaxpose.download.fetch import place_of
from jaxpose.models.published.record import Published


def address_for(record: Published) -> Address | None:
    """Return the address of a record's weights with all known digits; None if it is not known."""
    if record.weights is None:
        return None
    address = address_of(record.weights.address)
    assert address is not None
    return address if address.sha256 else replace(address, sha256=record.weights.sha256)


def by_hand(address: Address) -> str:
    """Say where the file of an address has to be put by hand, in sentences."""
    digits = (
        f"its SHA-256 begins with {address.sha256}" if address.sha256 else "no checksum is known"
    )
    return (
        f"Download {address.url} elsewhere ({digits}) and put the file at "
        f"{place_of(address)}{files_beside(address.name)}; then the name works here. "
        f"{MIRROR_VARIABLE} can name a mirror of the host."
    )


def files_beside(name: str) -> str:
    """Name the other files of weights in several files; empty for weights in one file.

    `name`: that of the file whose address is published.
    """
    if name.endswith(".json"):
        return ", and beside it the .bin files that it lists, from the same folder of the host"
    if name.endswith(".xml"):
        return ", and beside it the .bin of the same name, from the same folder of the host"
    return ""
