//! `evalboard key`: makes API keys on the own data folder, also while a server runs on it.

use clap::{Args, Subcommand};

use super::AdminFlag;
use crate::config::DataDir;
use crate::domain::time::Millis;
use crate::error::Result;
use crate::service::keys;

/// Make API keys.
#[derive(Debug, Args)]
pub struct Key {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key and print it, this once; the person is made when absent
    Create {
        /// Whose key it is
        #[arg(long, env = "EVALBOARD_EMAIL")]
        email: String,
        /// What its owner calls it
        #[arg(long, env = "EVALBOARD_KEY_NAME", default_value = "command line")]
        name: String,
        #[command(flatten)]
        admin: AdminFlag,
        #[command(flatten)]
        folder: DataDir,
    },
}

impl Key {
    /// Does it. Standard output gets the key and nothing else.
    ///
    /// # Errors
    /// Those of the service and the store.
    pub(super) async fn run(self) -> Result<()> {
        let Command::Create { email, name, admin, folder } = self.command;
        let store = super::open(&folder)?;
        let key = keys::create(&store, &email, admin.role(), &name, Millis::now()).await?;
        println!("{}", key.expose());
        super::close(store).await
    }
}
