"""Configuration of experiments as Python values.

`values` has their fields, their JSON form and differences; `override` changes them by dotted keys;
`schema` reads files of earlier versions; `recipe_source` and `scripts` read recipes' files; `trust`
decides which code of a recipe may run.
"""

from jaxpose.config.override import override
from jaxpose.config.values import classes_in, config_fields, differences, from_json, to_json
from jaxpose.deprecations import moved_names as _moved_names

__all__ = ["classes_in", "config_fields", "differences", "from_json", "override", "to_json"]

__getattr__ = _moved_names(__name__)
