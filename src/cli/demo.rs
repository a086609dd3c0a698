//! `evalboard demo`: `serve` on a folder of its own, with baselines and small evals that are run at once.

mod data;

use std::net::SocketAddr;

use clap::Args;

use super::serve;
use crate::app::App;
use crate::config::Config;
use crate::domain::time::Millis;
use crate::domain::users::Role;
use crate::error::Result;
use crate::service::{keys, seeds};

/// Whose the demo's things are.
const OWNER: &str = "demo@example.org";
/// What the one key is called that each start replaces.
const KEY_NAME: &str = "demo";
/// The remark of the run.
const NOTES: &str = "The demo's first run";

/// Serve a board of baselines and small evals.
#[derive(Debug, Args)]
#[command(mut_arg("data_dir", |folder| folder.default_value("./evalboard-demo")))]
pub struct Demo {
    #[command(flatten)]
    config: Config,
}

impl Demo {
    /// Serves until SIGTERM or SIGINT. Each start puts the demo's models, evals and training sets back as they
    /// are delivered; what else is in the folder stays.
    ///
    /// # Errors
    /// Those of `serve`.
    pub(super) async fn run(self) -> Result<()> {
        serve::run_after(self.config, prepare).await
    }
}

async fn prepare(app: &App, address: SocketAddr) -> Result<()> {
    let now = Millis::now();
    let owner = keys::ensure_user(&app.store, OWNER, Role::Admin, now).await?;
    seeds::sow(app, &owner, data::seeds()?, NOTES).await?;
    let key = keys::replace(&app.store, OWNER, Role::Admin, KEY_NAME, now).await?;
    eprintln!(
        "The demo is on http://{address}\nIts key, which may do everything and ends with the next start:"
    );
    println!("KEY={}", key.expose());
    eprintln!(
        "With it, another run: curl -X POST http://{address}/api/v1/runs -H \"Authorization: Bearer $KEY\""
    );
    serve::print_setup_link(app, address).await
}
