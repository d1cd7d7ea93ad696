"""Images that are asked for before their trial is there to ask."""
