"""A package outside of jaxpose with a part of every kind: it finds three stars in an image.

No file of jaxpose names it, and nothing installs it: `tests/outside/test_outside.py` puts its
folder on the path, as an installed package would be.
"""
