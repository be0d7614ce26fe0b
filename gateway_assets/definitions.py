"""The code location that Dagster loads: ``-m gateway_assets.definitions``."""

import warnings

import dagster as dg

# `backfill_policy` of an asset is called beta although the policy itself is not.
warnings.filterwarnings("ignore", category=dg.BetaWarning)

from gateway_assets.defs.build import build_defs  # noqa: E402  after the filter
from gateway_assets.settings import load_settings  # noqa: E402  after the filter

defs = build_defs(load_settings())
