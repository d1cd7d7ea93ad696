"""For those who implement a seam: contract suites (`contracts`) and values to try things with (`samples`)."""
