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
use crate::service::data_folders::LOCK;
use crate::service::{files, hashing, master_key, people, schedules, uploads};
use crate::store::api_keys;
use crate::store::condition::Condition;

/// How often what nobody wants any more is looked for.
const SWEEP_EVERY: Duration = Duration::from_hours(1);

/// How often a start that could not be completed is tried again.
const BEGIN_INTERVAL: Duration = Duration::from_secs(1);

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
    note_address(&app.config.data.data_dir, &lock, server.public_url());
    let address = server.address();
    let is_begun = begin(&app).await?;
    let prepare = match is_begun {
        true => {
            prepare_writable(&app, address, prepare).await?;
            None
        }
        false => Some(prepare),
    };
    tracing::info!("listening on http://{address}");
    let sweep = tokio::spawn(sweep_files(Arc::clone(&app)));
    let hashing = tokio::spawn(hashing::keep(Arc::clone(&app)));
    let schedules = tokio::spawn(schedules::keep(Arc::clone(&app)));
    let warming = tokio::spawn(app.leaderboard.clone().keep_warm(store.clone()));
    tokio::spawn(stop_on_signal(server.stopper()));
    let later = async {
        match prepare {
            Some(prepare) => begin_once_writable(&app, address, prepare).await,
            None => Ok(()),
        }
    };
    let serving = async {
        let mut serving = std::pin::pin!(server.run());
        tokio::select! {
            served = &mut serving => served,
            begun = later => match begun {
                Ok(()) => serving.await,
                failed => failed,
            },
        }
    };
    serving.await?;
    for task in [sweep, hashing, schedules, warming] {
        task.abort();
        // It held the app or the store, or was done long ago; either way there is nothing to learn from it.
        drop(task.await);
    }
    app.engine.stop().await;
    drop(app);
    super::close(store).await
}

/// Does what every start writes, and starts the engine; returns false where nothing can be written: then what can be read
/// is served.
async fn begin(app: &App) -> Result<bool> {
    let begun = async {
        people::show_as(&app.store, app.config.submitters).await?;
        app.engine.start().await
    };
    match begun.await {
        Ok(()) => Ok(true),
        Err(cause) if cause.is_read_only() || matches!(cause, Error::Damaged(_)) => {
            tracing::error!(error = %explain(&cause), "serving what can be read, and no runs");
            people::require_shown_as(&app.store, app.config.submitters).await?;
            Ok(false)
        }
        Err(cause) => Err(cause),
    }
}

/// As [`begin`], once it can be done.
async fn begin_once_writable(
    app: &App,
    address: SocketAddr,
    prepare: impl AsyncFnOnce(&App, SocketAddr) -> Result<()>,
) -> Result<()> {
    let mut condition = app.store.watch_condition();
    loop {
        // The sender lives as long as the store.
        drop(condition.wait_for(Condition::is_writable).await);
        if begin(app).await? {
            return prepare_writable(app, address, prepare).await;
        }
        tokio::time::sleep(BEGIN_INTERVAL).await;
    }
}

/// Runs `prepare`. A disk that is full then is no reason to serve nothing.
async fn prepare_writable(
    app: &App,
    address: SocketAddr,
    prepare: impl AsyncFnOnce(&App, SocketAddr) -> Result<()>,
) -> Result<()> {
    match prepare(app, address).await {
        Err(cause) if cause.is_read_only() || matches!(cause, Error::Damaged(_)) => {
            tracing::error!(error = %explain(&cause), "the start is not complete: start again once it is over");
            Ok(())
        }
        other => other,
    }
}

/// Takes the folder for this process: leased work is taken over at start, which only one may do. The lock
/// ends with the process, however it ends.
///
/// # Errors
/// `Conflict` when another server has the folder; `Internal` when it cannot be locked.
pub(super) fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK);
    let refused = |cause: std::io::Error| Error::internal(format!("cannot lock {}: {cause}", path.display()));
    // Where nothing can be written the folder itself has to do, if there is no such file yet.
    let file = File::options().create(true).append(true).open(&path);
    let file = file.or_else(|_| File::open(&path)).or_else(|_| File::open(folder)).map_err(refused)?;
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

/// Notes in the locked file how the outside reaches this server, for commands on the same folder. They do without it
/// where it cannot be written.
fn note_address(folder: &Path, mut lock: &File, public_url: &str) {
    use std::io::Write;

    let line = format!("{public_url}\n");
    if std::fs::read_to_string(folder.join(LOCK)).is_ok_and(|noted| noted == line) {
        return;
    }
    if let Err(cause) = lock.set_len(0).and_then(|()| lock.write_all(line.as_bytes())) {
        tracing::warn!(%cause, "the address could not be noted in {LOCK}");
    }
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
        // Rows that cannot be read any more may name files that are still good.
        if app.store.condition().is_damaged() {
            continue;
        }
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
        super::note(
            "There is no API key yet. The page Settings makes one, and so does:\n    \
             evalboard key create --email you@example.org --admin\n\
             (from a source checkout: cargo run --release -- key create --email you@example.org --admin)",
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
    super::note(&format!(
        "Nobody can sign in yet. Whoever opens this link, once, becomes the first admin:\n    {link}"
    ));
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
