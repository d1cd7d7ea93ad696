"""What makes images: from an item's arguments to a request for an endpoint."""
