"""From a name, a path or an address to a trained model."""
