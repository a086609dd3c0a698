//! What is built once and shared by every request. It starts nothing by itself.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::blobs::{Arriving, Blobs};
use crate::config::Config;
use crate::egress::{Allow, Guard, Timeouts, Webhooks};
use crate::engine::provider::{Operator, Providers};
use crate::engine::{Engine, Pace, Tools};
use crate::error::{Error, Result};
use crate::leaderboard::Leaderboard;
use crate::secrets::MasterKey;
use crate::store::Store;

/// The house's shared parts.
pub struct App {
    /// The settings.
    pub config: Config,
    /// The database.
    pub store: Store,
    /// The stored files.
    pub blobs: Blobs,
    /// Bytes of files on their way in.
    pub arriving: Arriving,
    /// Rung when a file is stored whose hash is still to be computed.
    pub unhashed: Notify,
    /// What may be called.
    pub guard: Guard,
    /// Which webhooks may be called.
    pub webhooks: Webhooks,
    /// What seals the models' keys and the webhooks' secrets.
    pub master: Arc<MasterKey>,
    /// The run machine, which may stand still.
    pub engine: Engine,
    /// The ranked board.
    pub leaderboard: Leaderboard,
}

impl App {
    /// Builds the parts over an open `store` from the settings and the environment's `variables` (providers'
    /// addresses and keys, and those of the bucket).
    ///
    /// # Errors
    /// `Invalid` naming the setting at fault; `Internal` when the master key or the folder cannot be had.
    pub fn new(
        config: Config,
        store: Store,
        variables: impl Iterator<Item = (String, String)>,
        pace: Pace,
    ) -> Result<Self> {
        let folder = &config.data.data_dir;
        let variables: Vec<_> = variables.collect();
        let blobs = Blobs::open(&folder.join("files"))?;
        let blobs = match &config.blob_store {
            Some(url) => blobs.with_bucket(url, &variables)?,
            None => blobs,
        };
        let master = Arc::new(master_key(config.master_key.as_deref(), folder)?);
        let guard = Guard::new(Allow::from_str(&config.egress_allow)?, Timeouts::default())?;
        let webhooks = Webhooks::from_str(&config.webhook_allow)?;
        let providers = Providers::new(guard.clone(), Operator::from_pairs(variables.into_iter()))?;
        let tools = Tools {
            store: store.clone(),
            providers,
            guard: guard.clone(),
            webhooks: webhooks.clone(),
            master: Arc::clone(&master),
            default_cap: config.member_daily_usd,
            give_up_after: Duration::from_secs(config.give_up_after.into()),
            keep_answers: config.keep_answers,
        };
        let pace = Pace { concurrency: config.concurrency, ..pace };
        let leaderboard = Leaderboard::default();
        Ok(Self {
            engine: Engine::new(tools, pace),
            leaderboard,
            config,
            store,
            blobs,
            arriving: Arriving::default(),
            unhashed: Notify::new(),
            guard,
            webhooks,
            master,
        })
    }
}

/// The key given as a setting, else the one in the data folder, which is made at first.
fn master_key(given: Option<&str>, folder: &Path) -> Result<MasterKey> {
    match given {
        Some(text) => text.parse(),
        None if MasterKey::has_draft(&MasterKey::file(folder)) => Err(Error::internal(
            "a change of the master key was interrupted: call evalboard rekey once more to finish it",
        )),
        None => MasterKey::load_or_create(&MasterKey::file(folder)).map_err(Error::internal),
    }
}
