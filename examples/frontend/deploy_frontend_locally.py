"""The review page on this machine: look at experiments together, give feedback, vote blind.

    python examples/frontend/deploy_frontend_locally.py [port]

``pixaris ui`` does the same, and more: a password, other machines, a proxy (docs/review.md). Feedback is kept
beside the results, or in BigQuery where config.yaml names its table: gcp_bq_feedback_table.
"""

import sys

from pixaris.config import Config
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.feedback_handlers.bigquery import BigqueryFeedbackHandler
from pixaris.feedback_handlers.local import LocalFeedbackHandler
from pixaris.frontend.main import launch_ui
from pixaris.frontend.settings import PageSettings

if __name__ == "__main__":
    config = Config.load()
    feedback_handler = LocalFeedbackHandler()
    if config.gcp_bq_feedback_table:
        feedback_handler = BigqueryFeedbackHandler(
            gcp_project_id=config.gcp_project_id,
            gcp_bq_feedback_table=config.gcp_bq_feedback_table,
            gcp_feedback_bucket=config.gcp_feedback_bucket or config.gcp_pixaris_bucket_name,
        )
    launch_ui(
        feedback_handler=feedback_handler,
        experiment_handler=LocalExperimentHandler(),
        settings=PageSettings(port=int(sys.argv[1]) if len(sys.argv) > 1 else 8080),
    )
