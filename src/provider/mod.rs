//! Who answers: adapters to providers, and a simulated one.

pub mod simulated;
