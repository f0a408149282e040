"""Known rigid objects: their models, drawn ones for training, and the files of BOP datasets."""

from jaxpose.objects.model import KnownObject, ObjectModel

__all__ = ["KnownObject", "ObjectModel"]
