//! `evalboard rekey`: another master key for the own data folder.

use clap::Args;

use super::serve;
use crate::config::DataDir;
use crate::domain::time::Millis;
use crate::error::Result;
use crate::secrets::MasterKey;
use crate::service::rekey::{self, Keys, Resealed};

/// Seal the stored keys of models and secrets of webhooks under another master key. Stop the server first.
#[derive(Debug, Args)]
pub struct Rekey {
    #[command(flatten)]
    folder: DataDir,

    /// The present key, where it is not the file in the data folder
    #[arg(long, env = "EVALBOARD_MASTER_KEY", value_name = "KEY", hide_env_values = true)]
    master_key: Option<String>,

    /// The new key: 32 bytes as hex or base64 [default: a fresh one in a file in the data folder]
    #[arg(long, env = "EVALBOARD_NEW_MASTER_KEY", value_name = "KEY", hide_env_values = true)]
    new_master_key: Option<String>,

    /// Give up the secrets that the present key does not open, as when it is lost: they are removed, listed, and have to be stored again
    #[arg(long)]
    forget: bool,
}

impl Rekey {
    /// Does it. Interrupted at any moment, it is finished by being called again.
    ///
    /// # Errors
    /// `Conflict` while a server has the folder; those of the keys, the store and the disk; then the old key is still
    /// the right one.
    pub(super) async fn run(self) -> Result<()> {
        let store = super::open(&self.folder)?;
        // A server holds the old key in memory, and would seal with it again.
        let _lock = serve::lock(&self.folder.data_dir)?;
        let file = MasterKey::file(&self.folder.data_dir);
        let old = match &self.master_key {
            Some(text) => text.parse(),
            None => MasterKey::load(&file),
        };
        // What is lost or damaged opens nothing; the change goes on without it.
        let old = if self.forget { old.ok() } else { Some(old?) };
        let was_interrupted = MasterKey::has_draft(&file);
        let (new, is_in_file) = match &self.new_master_key {
            Some(text) => (text.parse()?, false),
            None => (MasterKey::draft(&file)?, true),
        };
        let now = Millis::now();
        let outcome = match old {
            Some(old) if !self.forget => rekey::reseal(&store, Keys { old, new }, now).await,
            old => rekey::reseal_or_forget(&store, old, new, now).await,
        };
        super::close(store).await?;
        if outcome.is_err() && is_in_file && !was_interrupted {
            MasterKey::discard_draft(&file)?;
        }
        let resealed = outcome?;
        if is_in_file {
            MasterKey::adopt_draft(&file)?;
        }
        for noun in &resealed.forgotten {
            eprintln!("evalboard: the secret of {noun} was given up: store it again");
        }
        println!("{}", in_words(&resealed, is_in_file));
        Ok(())
    }
}

fn in_words(resealed: &Resealed, is_in_file: bool) -> String {
    let Resealed { models, webhooks, forgotten } = resealed;
    let given_up = match forgotten.len() {
        0 => String::new(),
        count => format!("Given up: {count}. "),
    };
    let next = if is_in_file {
        "The new key is in the data folder: back it up, and start the server without EVALBOARD_MASTER_KEY"
    } else {
        "Start the server with the new key as EVALBOARD_MASTER_KEY"
    };
    format!("Sealed anew: {models} keys of models, {webhooks} secrets of webhooks. {given_up}{next}.")
}
