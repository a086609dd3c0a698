//! What the words mean: types that cannot be built wrong, and pure rules over them.
//!
//! No I/O, no clock, no randomness, no HTTP, no SQL: callers pass `now` and what was read.

pub mod access_tokens;
pub mod api_keys;
pub mod artifacts;
pub mod byte_order;
pub mod cases;
pub mod compare;
pub mod cron;
pub mod direction;
pub mod estimates;
pub mod evals;
pub mod files;
pub mod health;
pub mod hex;
pub mod id;
pub mod inference_uri;
pub mod leaderboard;
pub mod ledger;
pub mod models;
pub mod overrules;
pub mod page;
pub mod pairs;
pub mod parameters;
pub mod passwords;
pub mod pooling;
pub mod rescores;
pub mod results;

pub mod rounding;
pub mod runs;
pub mod samples;
pub mod schedules;
pub mod sessions;
pub mod sharing;
pub mod signature;
pub mod spending;
pub mod stats;
pub mod template;
pub mod text;
pub mod thinking;
pub mod time;
pub mod tokens;
pub mod training_sets;
pub mod upload_token;
pub mod uploads;
pub mod users;
pub mod veil;
pub mod waits;
