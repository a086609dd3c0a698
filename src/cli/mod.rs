//! The command line: one file per command, `serve` when none is named. Commands hold no rules of their own.

pub mod backup;
pub mod check;
mod client;
pub mod demo;
pub mod inspect;
pub mod key;
pub mod rekey;
pub mod run;
pub mod serve;
pub mod user;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, DataDir};
use crate::disk;
use crate::domain::tokens::Token;
use crate::domain::users::Role;
use crate::error::{Error, Result};
use crate::http::pages::{format, links};
use crate::service::data_folders;
use crate::service::glances::sandbox;
use crate::store::Store;

/// A self-hosted public evals leaderboard: one binary, one data folder
#[derive(Debug, Parser)]
#[command(name = "evalboard", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Config,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the board and its API (the default)
    Serve(Config),
    /// Serve a board of baselines and small evals that needs no key and no network
    Demo(demo::Demo),
    /// Copy a data folder into one file, also while a server writes to it
    Backup(backup::Backup),
    /// Make a data folder from a backup
    Restore(backup::Restore),
    /// Say whether a data folder is whole
    Check(check::Check),
    #[command(name = sandbox::COMMAND, hide = true)]
    Inspect(inspect::Inspect),
    /// Make API keys
    Key(key::Key),
    /// Seal what is stored under another master key
    Rekey(rekey::Rekey),
    /// Trigger a run on a board, and wait for it: for scripts and CI
    Run(run::Run),
    /// Make people, and say what they may spend
    User(user::User),
}

impl Cli {
    /// Does what the command line says; answers what the program is to end with.
    ///
    /// # Errors
    /// Those of the command.
    pub async fn run(self) -> Result<ExitCode> {
        let done = match self.command.unwrap_or(Command::Serve(self.serve)) {
            Command::Serve(config) => serve::run(config).await,
            Command::Demo(demo) => demo.run().await,
            Command::Inspect(inspect) => inspect.run(),
            Command::Key(key) => key.run().await,
            Command::Rekey(rekey) => rekey.run().await,
            Command::User(user) => user.run().await,
            Command::Run(run) => return run.run().await,
            Command::Backup(backup) => return backup.run().await,
            Command::Restore(restore) => return restore.run().await,
            Command::Check(check) => return check.run().await,
        };
        done.map(|()| ExitCode::SUCCESS)
    }
}

/// Whether the person named may do everything.
#[derive(Debug, Clone, Copy, Args)]
struct AdminFlag {
    /// Make this person an admin
    #[arg(long)]
    admin: bool,
}

impl AdminFlag {
    const fn role(self) -> Role {
        if self.admin { Role::Admin } else { Role::Member }
    }
}

/// `1 file`, `1,204 files`.
fn counted(count: usize, noun: &str) -> String {
    format::counted(i64::try_from(count).unwrap_or(i64::MAX), noun)
}

/// A link that works once, to the site at `public_url`.
fn one_time_link(public_url: &str, token: &Token) -> String {
    links::one_time(public_url.trim_end_matches('/'), token)
}

/// Opens the database of a data folder, which is made (for its owner alone) when absent.
///
/// # Errors
/// `Internal` when the folder cannot be made; `Conflict` when its database is gone; the store's.
fn open(folder: &DataDir) -> Result<Store> {
    let path = &folder.data_dir;
    data_folders::require_database(path)?;
    disk::make_folder(path, disk::PRIVATE)
        .map_err(|cause| Error::internal(format!("cannot make {}: {cause}", path.display())))?;
    let store = Store::open(&path.join("evalboard.db"))?;
    // The database may be new: its name goes to disk before anything in it is acknowledged.
    disk::sync_folder(path).map_err(|cause| Error::internal(format!("{}: {cause}", path.display())))?;
    Ok(store)
}

/// Prints a line on standard error. One that cannot be written there, as to a log on a full disk, is lost.
fn note(line: &str) {
    use std::io::Write;

    drop(writeln!(std::io::stderr(), "{line}"));
}

/// Lets go of the store where waiting for its writer holds nobody up.
///
/// # Errors
/// `Internal` when that thread fails.
async fn close(store: Store) -> Result<()> {
    tokio::task::spawn_blocking(|| store.close()).await.map_err(Error::internal)
}
