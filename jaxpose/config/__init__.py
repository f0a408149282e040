"""Experiments as values: overrides by dotted key, a JSON form, differences, and recipes' files."""

from jaxpose.config.override import override
from jaxpose.config.values import config_fields, differences, from_json, to_json
from jaxpose.deprecations import moved_names

__all__ = ["config_fields", "differences", "from_json", "override", "to_json"]

__getattr__ = moved_names(__name__)
