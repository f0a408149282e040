"""Experiments as values: overrides by dotted key, a JSON form, differences, and recipes' files."""

from jaxpose.config.values import config_fields, differences, from_json, override, to_json

__all__ = ["config_fields", "differences", "from_json", "override", "to_json"]
