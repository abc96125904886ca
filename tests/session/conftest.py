"""What tests of live sessions share."""

from __future__ import annotations

from live_sessions import _no_threads_left, settings  # noqa: F401
