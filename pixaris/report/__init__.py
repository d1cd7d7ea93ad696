"""What a search found, for people: pictures and pages."""
