//! The server as its callers see it: over HTTP, on a port of its own, with a database of its own.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets what it did not expect has failed"
)]

mod architecture;
mod artifacts;
mod auth;
mod caching;
mod command_line;
mod cors;
mod crash;
mod demo;
mod engine;
mod errors;
mod idempotency;
mod limits;
mod operations;
mod store;
mod support;
mod training_sets;
mod walkthrough;
