"""Pixaris: hyperparameter search for image generation, with evidence.

The package imports nothing heavy: ``import pixaris`` loads neither Ray nor Pillow. Import what you need from
its rooms, for instance ``pixaris.data_loaders.local``, ``pixaris.generation.comfyui`` or ``pixaris.search``.
"""

__version__ = "0.2.0"
