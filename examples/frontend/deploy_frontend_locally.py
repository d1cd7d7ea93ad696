"""The review page on this machine: look at experiments together, give feedback, vote blind.

    python examples/frontend/deploy_frontend_locally.py

``pixaris ui`` does the same, and more: a password, other machines, a proxy (docs/review.md).
"""

from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.feedback_handlers.local import LocalFeedbackHandler
from pixaris.frontend.main import launch_ui

if __name__ == "__main__":
    launch_ui(
        feedback_handler=LocalFeedbackHandler(),  # local_results/feedback.sqlite
        experiment_handler=LocalExperimentHandler(),  # local_results
    )
