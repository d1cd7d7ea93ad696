"""Imports that wait until an image is scored, because they take a second: one thread at a time.

Metrics are asked in threads, all at once. Where two of them import parts of scipy at the same time, Python
breaks the deadlock of their import locks by handing out modules that are half there, and the first images
would have no score.
"""

from __future__ import annotations

import threading

importing = threading.RLock()
"""Held while a metric imports: ``with importing: from scipy.fft import dctn``."""
