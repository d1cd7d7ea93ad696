"""The model-free core nodes, computed as ComfyUI computes them: float32, in its order, never clamped where it
does not clamp.
"""
