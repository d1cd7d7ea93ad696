"""Google Cloud: buckets, and what its libraries' errors mean."""
