//! The hashes of files that came in parts: computed once the whole is there, in the background, and again after a
//! restart as long as a file has none.

use std::sync::Arc;

use futures_util::StreamExt;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::domain::hex;
use crate::domain::id::BlobKey;
use crate::error::{Error, Result, explain};
use crate::store::blobs;

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
        match hash(app, &next.path).await {
            Ok(sha256) => {
                app.store.write(move |tx| blobs::note_hash(tx, next.key, &sha256)).await?;
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

async fn hash(app: &App, path: &str) -> Result<String> {
    let mut hash = Sha256::new();
    let mut bytes = app.blobs.open_file(path).await?.whole();
    while let Some(chunk) = bytes.next().await {
        let chunk = chunk?;
        let hashed = tokio::task::spawn_blocking(move || hash.chain_update(&chunk));
        hash = hashed.await.map_err(Error::internal)?;
    }
    Ok(hex::encode(&hash.finalize()))
}
