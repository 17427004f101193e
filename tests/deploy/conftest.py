"""Without ``BTC_SCANNER_TEST_DEPLOY`` (``make test-deploy``) nothing here is collected."""

import os

if not os.environ.get("BTC_SCANNER_TEST_DEPLOY"):
    collect_ignore_glob = ["test_*.py"]
