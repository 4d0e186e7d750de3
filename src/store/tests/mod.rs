//! The suite of every store: what is promised is checked on files and in memory by the same tests.
//!
//! - `rig`: the two stores behind one handle, with crashes and a stand-in for Parquet parts
//! - `night`: an engine-like stream of records with the ledger as its oracle
//! - `conformance`: what holds for both · `damage`: what can happen to files only

mod conformance;
mod damage;
mod night;
mod rig;
