"""How fast it is here: training steps, the input path, evaluation, prediction.

Each module measures one road and returns plain figures; `jaxpose bench` prints them.
"""
