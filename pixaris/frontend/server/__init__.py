"""The review page's server. Its modules need the extra ``ui``: they are imported when it is started."""
