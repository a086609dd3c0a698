//! The program: reads the command line, starts the log, and hands over.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use evalboard::cli::Cli;
use evalboard::telemetry;
use tikv_jemallocator::Jemalloc;

/// What is allocated by one thread is freed by another here, as when a case is handed to the writer; the system's
/// allocator has them wait for each other.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::start();
    match cli.run().await {
        Ok(code) => code,
        Err(error) => {
            // A log that cannot be written is no reason to panic.
            drop(writeln!(std::io::stderr(), "evalboard: {}", evalboard::error::explain(&error)));
            ExitCode::FAILURE
        }
    }
}
