//! The server as its callers see it: over HTTP, on a port of its own, with a database of its own.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets what it did not expect has failed"
)]

mod access;
mod architecture;
mod artifacts;
mod attempts;
mod auth;
mod backups;
mod bad_input;
mod board;
mod bucket;
mod caching;
mod canaries;
mod caps;
mod clock;
mod command_line;
mod compare;
mod contract;
mod control;
mod cors;
mod crash;
mod damaged;
mod demo;
mod descriptors;
mod directions;
mod downloads;
mod endpoints;
mod engine;
mod errors;
mod evals;
mod events;
mod exports;
#[cfg(target_os = "linux")]
mod faults;
mod full_disk;
mod graders;
mod health;
mod hostile_files;
mod idempotency;
mod keys;
mod leaderboard;
mod ledger;
mod limits;
mod list_cursors;
mod long_lists;
mod master_key;
mod models;
#[cfg(feature = "oidc")]
mod oidc;
mod operations;
mod overrules;
mod pages;
mod pages_training_sets;
mod people;
mod pictures;
mod pooling;
mod promises;
mod ranks;
mod retention;
mod runs;
mod sample_files;
mod schedules;
mod shared_models;
mod sign_in_limits;
mod slow;
mod store;
mod stuck_readers;
mod submitters;
mod support;
mod surfaces;
mod tokens;
mod training_sets;
mod upgrades;
mod upload_form;
mod uploads;
mod uploads_client;
mod walkthrough;
