//! Commands: rules that span the store, the files and the engine, one file per noun.
//!
//! A command opens one transaction. It knows nothing of HTTP: answers are values that a surface renders.

pub mod access_tokens;
pub mod artifacts;
pub mod backups;
mod budgets;
pub mod caps;
pub mod checks;
pub mod data_folders;
pub mod drafts;
pub mod endpoints;
pub mod evals;
pub mod files;
pub mod glances;
mod graders;
pub mod hashing;
pub mod keys;
pub mod ledger;
pub mod lending;
pub mod master_key;
pub mod model_checks;
mod model_names;
pub mod models;
#[cfg(feature = "oidc")]
pub mod oidc;
pub mod once;
pub mod overrules;
pub mod pairs;
mod passwords;
pub mod people;
pub mod plans;
pub mod rekey;
pub mod rescores;
pub mod retries;
pub mod runs;
pub mod samples;
pub mod schedules;
pub mod seeds;
pub mod sessions;
pub mod training_sets;
pub mod uploads;
mod versions;
mod webhooks;
