//! Ring 3 lives in `tests/`: the real programs on a real kernel.
