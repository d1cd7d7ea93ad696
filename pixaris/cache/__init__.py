"""Generated images by what they were made from, so that nothing is generated twice."""
