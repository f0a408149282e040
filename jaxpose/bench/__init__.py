"""Benchmarks on this machine: training steps, the input path, evaluation, prediction.

Each module measures one of them and returns plain figures; `jaxpose bench` prints them.
"""
