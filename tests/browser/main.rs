//! Runs the browser tests (`run.mjs` beside this file) against the binary that was just built.
//!
//! They need Node and Chromium, which `make browser` and `make test` install; without being told that they are
//! there (`EVALBOARD_BROWSER=1`) this says what it skips and ends well.

use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    if std::env::var_os("EVALBOARD_BROWSER").is_none_or(|value| value != "1") {
        println!("skipped: the browser tests (`make browser` installs what they need and runs them)");
        return ExitCode::SUCCESS;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/run.mjs");
    let status = Command::new("node")
        .args(["--test-reporter=spec", script])
        .env("EVALBOARD_BIN", env!("CARGO_BIN_EXE_evalboard"))
        .status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(cause) => {
            eprintln!("node cannot be started: {cause}");
            ExitCode::FAILURE
        }
    }
}
