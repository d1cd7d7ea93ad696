"""The seam for eval sets."""

from __future__ import annotations

from abc import ABC, abstractmethod

from pixaris.types import EvalSet


class DatasetLoader(ABC):
    """Loads an eval set.

    Implement `load_dataset`. It is called once per run or search, in the process that starts it; the loaded set travels to the
    trials. Use `aligned` to make the set from folders of images: it matches names, sorts them naturally and refuses what does not
    fit.
    """

    @abstractmethod
    def load_dataset(self) -> EvalSet:
        """Return the eval set, with every image decoded once.

        Raises:
            DatasetError: It is missing, empty, or its names do not match; all faults are told at once.
        """
