"""What numbers rest on, for whoever looks: the eval set's pictures, each item's images, what happened."""
