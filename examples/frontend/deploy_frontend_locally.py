"""The review page on this machine: look at experiments together, give feedback, vote blind.

    python examples/frontend/deploy_frontend_locally.py [port]

``pixaris ui`` does the same, and more: a password, other machines, a proxy (docs/review.md).
"""

import sys

from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.feedback_handlers.local import LocalFeedbackHandler
from pixaris.frontend.main import launch_ui
from pixaris.frontend.settings import PageSettings

if __name__ == "__main__":
    launch_ui(
        feedback_handler=LocalFeedbackHandler(),
        experiment_handler=LocalExperimentHandler(),
        settings=PageSettings(port=int(sys.argv[1]) if len(sys.argv) > 1 else 8080),
    )
