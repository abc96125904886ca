"""What tests of live sessions share."""

from __future__ import annotations

from live_sessions import settings  # noqa: F401
