"""Predictions of a trained cell on one's own files: ``python -m exp.predict task=NAME ckpt=PATH FILES``.

A task that predicts has a module of its name here with ``predict(options, paths) -> exit code``.
"""
