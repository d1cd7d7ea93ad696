"""ComfyUI's wire, both sides. Knows nothing of experiments."""
