"""The pages of the review page, as HTML."""
