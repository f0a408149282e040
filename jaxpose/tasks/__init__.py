"""Tasks that can be trained, one folder each; `task.Task` is the interface."""
