"""Results copied into a bucket of Google Cloud Storage, and back."""
