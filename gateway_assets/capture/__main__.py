"""``python -m gateway_assets.capture``."""

from __future__ import annotations

import sys

from gateway_assets.capture.cli import main

sys.exit(main())
