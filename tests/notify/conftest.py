"""Registries in both databases, and a rule whose alerts are told of."""

from __future__ import annotations
