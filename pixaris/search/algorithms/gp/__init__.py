"""The searcher for few images: a Gaussian process that says which image of which set comes next."""
