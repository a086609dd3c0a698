//! `evalboard serve`: opens the data folder, serves it, works on its runs, and drains when told to stop.

use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;
use url::Url;

use crate::app::App;
use crate::config::Config;
use crate::domain::time::Millis;
use crate::engine::Pace;
use crate::error::{Error, Result, explain};
use crate::server::{self, Server, Stopper};
use crate::service::{files, hashing, master_key, people, schedules, uploads};
use crate::store::api_keys;

/// How often what nobody wants any more is looked for.
const SWEEP_EVERY: Duration = Duration::from_hours(1);

/// The file that a server locks in its data folder.
const LOCK: &str = "serve.lock";

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// Those of the store, `Conflict` when another server has the folder, and `Internal` when the address cannot
/// be had.
pub(super) async fn run(config: Config) -> Result<()> {
    run_after(config, async |app, address| welcome(app, address).await).await
}

/// As [`run`], once `prepare` is done: it is given the app at work and the address that is already bound.
///
/// # Errors
/// As [`run`], and those of `prepare`.
pub(super) async fn run_after(
    config: Config,
    prepare: impl AsyncFnOnce(&App, SocketAddr) -> Result<()>,
) -> Result<()> {
    // Before the database is opened: what fails then for want of a file would name something else.
    server::check_limits(&config)?;
    let store = super::open(&config.data)?;
    let lock = lock(&config.data.data_dir)?;
    master_key::check(&store, config.master_key.as_deref(), &config.data.data_dir, Millis::now()).await?;
    let app = Arc::new(App::new(config, store.clone(), variables(), Pace::default())?);
    let server = Server::build(Arc::clone(&app))?;
    note_address(&lock, server.public_url())?;
    people::show_as(&app.store, app.config.submitters).await?;
    app.engine.start().await?;
    prepare(&app, server.address()).await?;
    tracing::info!("listening on http://{}", server.address());
    let sweep = tokio::spawn(sweep_files(Arc::clone(&app)));
    let hashing = tokio::spawn(hashing::keep(Arc::clone(&app)));
    let schedules = tokio::spawn(schedules::keep(Arc::clone(&app)));
    let warming = tokio::spawn(app.leaderboard.clone().keep_warm(store.clone()));
    tokio::spawn(stop_on_signal(server.stopper()));
    server.run().await?;
    for task in [sweep, hashing, schedules, warming] {
        task.abort();
        // It held the app or the store, or was done long ago; either way there is nothing to learn from it.
        drop(task.await);
    }
    app.engine.stop().await;
    drop(app);
    super::close(store).await
}

/// Takes the folder for this process: leased work is taken over at start, which only one may do. The lock
/// ends with the process, however it ends.
///
/// # Errors
/// `Conflict` when another server has the folder; `Internal` when it cannot be locked.
pub(super) fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK);
    let refused = |cause: std::io::Error| Error::internal(format!("cannot lock {}: {cause}", path.display()));
    let file = File::options().create(true).append(true).open(&path).map_err(refused)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let message =
                format!("another evalboard serves {}: stop it or name another folder", folder.display());
            Err(Error::Conflict { code: "folder_in_use", message })
        }
        Err(TryLockError::Error(cause)) => Err(refused(cause)),
    }
}

/// Notes in the locked file how the outside reaches this server, for commands on the same folder.
fn note_address(mut lock: &File, public_url: &str) -> Result<()> {
    use std::io::Write;

    let noted = lock.set_len(0).and_then(|()| writeln!(lock, "{public_url}"));
    noted.map_err(|cause| Error::internal(format!("cannot write {LOCK}: {cause}")))
}

/// Returns the public URL of the server of a data folder, or of the last one that had it; none when none had.
pub(super) fn noted_address(folder: &Path) -> Option<Url> {
    let noted = std::fs::read_to_string(folder.join(LOCK)).ok()?;
    noted.lines().next()?.parse().ok()
}

/// Removes what crashes and abandoned uploads left of files, at the start and every hour.
async fn sweep_files(app: Arc<App>) {
    let mut turns = tokio::time::interval(SWEEP_EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        match uploads::expire(&app, Millis::now()).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "abandoned uploads were ended"),
            Err(error) => tracing::warn!(error = %explain(&error), "abandoned uploads could not be ended"),
        }
        match files::sweep(&app).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "files without a row were removed"),
            Err(error) => {
                tracing::warn!(error = %explain(&error), "files without a row could not be removed");
            }
        }
    }
}

/// The environment, as far as it is text.
fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Says how to begin while nobody can: by a link for the first admin, or by a key.
async fn welcome(app: &App, address: SocketAddr) -> Result<()> {
    print_setup_link(app, address).await?;
    if !app.store.read(api_keys::is_there_any).await? {
        eprintln!(
            "There is no API key yet. The page Settings makes one, and so does:\n    \
             evalboard key create --email you@example.org --admin\n\
             (from a source checkout: cargo run --release -- key create --email you@example.org --admin)"
        );
    }
    Ok(())
}

/// Prints a link that sets up the first admin, when nobody can sign in; it takes the place of the one before.
///
/// # Errors
/// The store's.
pub(super) async fn print_setup_link(app: &App, address: SocketAddr) -> Result<()> {
    let Some(token) = people::setup_link(&app.store).await? else { return Ok(()) };
    let public_url = app.config.public_url.as_ref().map_or(format!("http://{address}"), Url::to_string);
    let link = super::one_time_link(&public_url, &token);
    eprintln!("Nobody can sign in yet. Whoever opens this link, once, becomes the first admin:\n    {link}");
    Ok(())
}

/// The first signal lets requests in flight finish; a second one does not.
async fn stop_on_signal(server: Stopper) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::internal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::internal)?;
    let mut next = async || tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} };
    next().await;
    tracing::info!("stopping: requests in flight may finish");
    tokio::select! {
        () = server.drain() => {}
        () = next() => server.cut().await,
    }
    Ok(())
}
