//! The real binary and the public interface, whole.

/// Verbs, flags, streams and exit codes of the binary.
mod cli;
/// What more than one of the others needs.
mod support;
