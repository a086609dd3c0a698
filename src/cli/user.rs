//! `evalboard user`: makes people on the own data folder.

use clap::{Args, Subcommand};

use super::AdminFlag;
use crate::config::DataDir;
use crate::domain::time::Millis;
use crate::error::Result;
use crate::service::keys;

/// Make people.
#[derive(Debug, Args)]
pub struct User {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a person, or make one an admin who is there already
    Add {
        /// The person's address
        email: String,
        #[command(flatten)]
        admin: AdminFlag,
        #[command(flatten)]
        folder: DataDir,
    },
}

impl User {
    /// Does it.
    ///
    /// # Errors
    /// Those of the service and the store.
    pub(super) async fn run(self) -> Result<()> {
        let Command::Add { email, admin, folder } = self.command;
        let store = super::open(&folder)?;
        let user = keys::ensure_user(&store, &email, admin.role(), Millis::now()).await?;
        println!("{} ({})", user.email, user.role.as_str());
        super::close(store).await
    }
}
