//! The program: reads the command line, starts the log, and hands over.

use std::process::ExitCode;

use clap::Parser;
use evalboard::cli::Cli;
use evalboard::telemetry;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::start();
    match cli.run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("evalboard: {}", evalboard::error::explain(&error));
            ExitCode::FAILURE
        }
    }
}
