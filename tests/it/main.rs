//! Tests of the whole.
//!
//! Run them with `tests/run`, which installs the readers that some of them judge by.

/// Simulated nights: the engine under faults, power cuts and clock jumps, from seeds.
mod nights;
