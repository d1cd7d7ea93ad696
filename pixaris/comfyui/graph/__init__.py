"""A workflow's graph: its nodes, what their widgets hold, and what a server would refuse about them."""
