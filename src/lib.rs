//! Evalboard: a self-hosted public evals leaderboard.
pub mod app;
pub mod blobs;
pub mod cli;
pub mod config;
#[cfg(test)]
mod cpu_clock;
pub mod disk;
pub mod domain;
pub mod egress;
pub mod engine;
pub mod error;
pub mod http;
pub mod leaderboard;
pub mod secrets;
pub mod server;
pub mod service;
pub mod store;
pub mod telemetry;
