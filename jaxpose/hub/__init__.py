"""Loading of trained models by name, path or address.

`load` returns a model that can predict, `catalogue` finds the weights of a published name, and
`from_checkpoint` converts a checkpoint or a run to a release folder.
"""
