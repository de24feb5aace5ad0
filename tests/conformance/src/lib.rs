//! Ring 4 lives in `tests/`: other people's clients against the real daemon.
