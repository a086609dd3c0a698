//! The hashes of files that came in parts: computed once the whole is there, in the background, and again after a
//! restart as long as a file has none. What a training set shows of its file is seen on the way.

use std::sync::Arc;

use futures_util::StreamExt;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::domain::hex;
use crate::domain::id::BlobKey;
use crate::domain::training_sets::{FileType, Glance, Watcher};
use crate::error::{Error, Result, explain};
use crate::store::blobs::{self, Unhashed};
use crate::store::{training_sets, uploads};

/// Computes what is missing, and whatever comes to be missing later. It never ends.
pub async fn keep(app: Arc<App>) {
    loop {
        if let Err(error) = compute(&app).await {
            tracing::warn!(error = %explain(&error), "the hashes of files could not be computed");
        }
        app.unhashed.notified().await;
    }
}

/// Computes the hash of every file that has none; answers how many. One that cannot be read is left for later.
///
/// # Errors
/// The store's.
pub async fn compute(app: &App) -> Result<usize> {
    let (mut after, mut count) = (BlobKey(0), 0);
    while let Some(next) = app.store.read(move |tx| blobs::next_unhashed(tx, after)).await? {
        after = next.key;
        match hash(app, &next).await {
            Ok((sha256, glance)) => {
                let write = move |tx: &mut crate::store::Tx<'_>| {
                    blobs::note_hash(tx, next.key, &sha256)?;
                    let Some(glance) = &glance else { return Ok(()) };
                    uploads::note_glance(tx, &next.id, glance)?;
                    training_sets::note_glance(tx, &next.id, glance)
                };
                app.store.write(write).await?;
                count += 1;
            }
            // It was deleted meanwhile.
            Err(Error::NotFound(_)) => {}
            Err(error) => {
                tracing::warn!(path = %next.path, error = %explain(&error), "a file could not be hashed");
            }
        }
    }
    Ok(count)
}

async fn hash(app: &App, file: &Unhashed) -> Result<(String, Option<Glance>)> {
    let mut hash = Sha256::new();
    let mut watcher = FileType::of(&file.file_name, "file_name").ok().map(Watcher::new);
    let mut bytes = app.blobs.open_file(&file.path).await?.whole();
    while let Some(chunk) = bytes.next().await {
        let chunk = chunk?;
        if let Some(watcher) = &mut watcher {
            watcher.see(&chunk);
        }
        (hash, _) = tokio::task::spawn_blocking(move || (hash.chain_update(&chunk), ()))
            .await
            .map_err(Error::internal)?;
    }
    Ok((hex::encode(&hash.finalize()), watcher.map(Watcher::finish)))
}
