"""The search space: parameters, their domains and conditions, and how values are bound to node inputs."""
