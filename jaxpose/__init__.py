"""Human pose estimation in JAX: models, codecs, training and inference as pure functions."""

__version__ = "0.1.0"
