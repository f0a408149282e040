"""Classifiers of actions: networks from skeletons over time to logits.

`action_model` joins a backbone and a head; the other files have the layers of the backbones.
"""
