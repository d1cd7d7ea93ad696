"""What a search keeps, kept on the driver's machine whichever node of the cluster a trial runs on."""
