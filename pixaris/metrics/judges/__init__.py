"""Judges: multimodal language models that look at images and answer in JSON."""
