//! Models, their revisions and price snapshots. Whose model it is to change is decided elsewhere.

use super::{Row, Topic, Tx};
use crate::domain::id::{ModelId, ModelKey, PriceKey, RevisionKey, UserKey};
use crate::domain::models::{Card, Model, Prices, Revision};
use crate::domain::page::{Cursor, Page, Slice};
use crate::domain::sharing::Sharing;
use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::values;

const COLUMNS: &str =
    "models.id, models.public_id, models.owner_id, submitters.name AS submitted_by, models.name, models.description,
    models.is_official, models.is_active, models.provider, models.url, models.license, models.open_weights,
    models.max_concurrency, models.timeout_ms, models.input_price, models.output_price,
    models.cached_input_price, models.cache_write_price, models.sealed_key IS NOT NULL AS has_api_key,
    models.shared, models.shared_daily_calls, models.shared_daily_usd, models.created_at,
    models.updated_at, model_revisions.id AS revision_id, model_revisions.hash,
    model_revisions.inference_uri, model_revisions.parameters
    FROM models
    JOIN submitters ON submitters.id = models.owner_id
    JOIN model_revisions ON model_revisions.id = models.revision_id";

fn model(row: &Row<'_>) -> Result<Model> {
    let parameters: String = row.get("parameters")?;
    Ok(Model {
        key: row.get("id")?,
        id: row.get("public_id")?,
        owner: row.get("owner_id")?,
        submitted_by: row.get("submitted_by")?,
        card: Card {
            name: row.get("name")?,
            description: row.get("description")?,
            inference_uri: row.get("inference_uri")?,
            parameters: serde_json::from_str(&parameters).map_err(Error::internal)?,
            is_official: row.get("is_official")?,
            is_active: row.get("is_active")?,
            provider: row.get("provider")?,
            url: row.get("url")?,
            license: row.get("license")?,
            open_weights: row.get("open_weights")?,
            max_concurrency: row.get("max_concurrency")?,
            timeout_ms: row.get("timeout_ms")?,
            prices: prices(row)?,
            sharing: Sharing {
                shared: row.get("shared")?,
                daily_calls: row.get("shared_daily_calls")?,
                daily_usd: row.get("shared_daily_usd")?,
            },
        },
        has_api_key: row.get("has_api_key")?,
        revision: Revision { key: row.get("revision_id")?, hash: row.get("hash")? },
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn prices(row: &Row<'_>) -> Result<Prices> {
    Ok(Prices {
        input: row.get("input_price")?,
        output: row.get("output_price")?,
        cached_input: row.get("cached_input_price")?,
        cache_write: row.get("cache_write_price")?,
    })
}

/// The inference URIs of all revisions there ever were that have an address of their own, those of deleted models
/// included: their errors stay readable.
///
/// # Errors
/// The database's.
pub fn called_urls(tx: &mut Tx<'_>) -> Result<Vec<String>> {
    tx.rows(
        "SELECT DISTINCT inference_uri FROM model_revisions
         WHERE inference_uri LIKE 'http%' OR inference_uri LIKE 'openai-compatible:%'",
        &[],
        |row| row.get("inference_uri"),
    )
}

/// Models that are not deleted, newest first.
///
/// # Errors
/// The database's.
pub fn list(tx: &mut Tx<'_>, page: Page) -> Result<Slice<Model>> {
    let total =
        tx.one("SELECT COUNT(*) AS total FROM models WHERE deleted_at IS NULL", &[], |row| row.get("total"))?;
    let after = page.after;
    let rows = tx.page(
        &format!(
            "SELECT {COLUMNS}
             WHERE models.deleted_at IS NULL
               AND (?1 IS NULL OR (models.created_at, models.id) < (?1, ?2))
             ORDER BY models.created_at DESC, models.id DESC
             LIMIT ?3"
        ),
        values![after.map(|at| at.sort), after.map(|at| at.key), page.limit + 1],
        model,
    )?;
    Ok(Slice::cut(rows, page, total, |model| Cursor { sort: model.created_at.0, key: model.key.0 }))
}

/// The model of that id, unless it is deleted.
///
/// # Errors
/// `NotFound`.
pub fn get(tx: &mut Tx<'_>, id: &ModelId) -> Result<Model> {
    tx.first(
        &format!("SELECT {COLUMNS} WHERE models.public_id = ?1 AND models.deleted_at IS NULL"),
        values![id],
        model,
    )?
    .ok_or(Error::NotFound("model"))
}

/// What everybody knows the owner of a model by, deleted ones included.
///
/// # Errors
/// `Internal` when there is no such model.
pub fn submitter(tx: &mut Tx<'_>, key: ModelKey) -> Result<String> {
    tx.one(
        "SELECT submitters.name
         FROM models
         JOIN submitters ON submitters.id = models.owner_id
         WHERE models.id = ?1",
        values![key],
        |row| row.get("name"),
    )
}

/// A model that was deleted: what is left to say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawn {
    /// Table key, by which its results are found.
    pub key: ModelKey,
    /// Its last name.
    pub name: String,
    /// When it was deleted.
    pub at: Millis,
}

/// The deleted model of that id, if there was one.
///
/// # Errors
/// The database's.
pub fn find_withdrawn(tx: &mut Tx<'_>, id: &ModelId) -> Result<Option<Withdrawn>> {
    tx.first(
        "SELECT id, name, deleted_at FROM models WHERE public_id = ?1 AND deleted_at IS NOT NULL",
        values![id],
        |row| Ok(Withdrawn { key: row.get("id")?, name: row.get("name")?, at: row.get("deleted_at")? }),
    )
}

/// Models that runs include: active and not deleted, oldest first.
///
/// # Errors
/// The database's.
pub fn active(tx: &mut Tx<'_>) -> Result<Vec<Model>> {
    tx.rows(
        &format!(
            "SELECT {COLUMNS} WHERE models.deleted_at IS NULL AND models.is_active = 1 ORDER BY models.id"
        ),
        &[],
        model,
    )
}

/// The oldest model of `owner` with exactly that name, unless it is deleted.
///
/// # Errors
/// The database's.
pub fn find_own(tx: &mut Tx<'_>, owner: UserKey, name: &str) -> Result<Option<Model>> {
    tx.first(
        &format!(
            "SELECT {COLUMNS}
             WHERE models.owner_id = ?1 AND models.name = ?2 AND models.deleted_at IS NULL
             ORDER BY models.id
             LIMIT 1"
        ),
        values![owner, name],
        model,
    )
}

/// Stores a new model and its first revision.
///
/// # Errors
/// The database's.
pub fn insert(tx: &mut Tx<'_>, id: &ModelId, owner: UserKey, card: &Card, now: Millis) -> Result<ModelKey> {
    let key = tx.one(
        "INSERT INTO models (public_id, owner_id, name, description, is_official, is_active, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
         RETURNING id",
        values![id, owner, &card.name, &card.description, card.is_official, card.is_active, now],
        |row| row.get("id"),
    )?;
    update(tx, key, card, now)?;
    Ok(key)
}

/// Stores a changed card; another inference URI or other parameters make another revision.
///
/// # Errors
/// The database's.
pub fn update(tx: &mut Tx<'_>, key: ModelKey, card: &Card, now: Millis) -> Result<()> {
    let revision = revise(tx, key, card, now)?;
    tx.execute(
        "UPDATE models
         SET name = ?2, description = ?3, is_official = ?4, is_active = ?5, provider = ?6, url = ?7, license = ?8,
             open_weights = ?9, max_concurrency = ?10, timeout_ms = ?11, input_price = ?12, output_price = ?13,
             cached_input_price = ?14, revision_id = ?15, updated_at = ?16, cache_write_price = ?17, shared = ?18,
             shared_daily_calls = ?19, shared_daily_usd = ?20
         WHERE id = ?1",
        values![
            key,
            &card.name,
            &card.description,
            card.is_official,
            card.is_active,
            card.provider.clone(),
            card.url.clone(),
            card.license.clone(),
            card.open_weights,
            card.max_concurrency,
            card.timeout_ms,
            card.prices.input,
            card.prices.output,
            card.prices.cached_input,
            revision,
            now,
            card.prices.cache_write,
            card.sharing.shared,
            card.sharing.daily_calls,
            card.sharing.daily_usd,
        ],
    )?;
    tx.touch(Topic::Models);
    tx.touch(Topic::Board);
    Ok(())
}

/// The revision that the card describes: the stored one when there is one, so that an edit that is taken
/// back brings the old results back.
fn revise(tx: &mut Tx<'_>, key: ModelKey, card: &Card, now: Millis) -> Result<RevisionKey> {
    let hash = card.revision_hash()?;
    tx.execute(
        "INSERT INTO model_revisions (model_id, hash, inference_uri, parameters, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (model_id, hash) DO NOTHING",
        values![key, &hash, &card.inference_uri, card.parameters.canonical()?, now],
    )?;
    tx.one("SELECT id FROM model_revisions WHERE model_id = ?1 AND hash = ?2", values![key, &hash], |row| {
        row.get("id")
    })
}

/// Hides a model for good; its results stay.
///
/// # Errors
/// The database's.
pub fn delete(tx: &mut Tx<'_>, key: ModelKey, now: Millis) -> Result<()> {
    tx.execute(
        "UPDATE models SET deleted_at = ?2, updated_at = ?2, sealed_key = NULL, key_origin = NULL WHERE id = ?1",
        values![key, now],
    )?;
    tx.touch(Topic::Models);
    tx.touch(Topic::Board);
    Ok(())
}

/// The snapshot of those prices: the model's latest one when they have not changed.
///
/// # Errors
/// The database's.
pub fn snapshot_prices(tx: &mut Tx<'_>, key: ModelKey, present: Prices, now: Millis) -> Result<PriceKey> {
    let latest = tx.first(
        "SELECT id, input_price, output_price, cached_input_price, cache_write_price
         FROM price_snapshots
         WHERE model_id = ?1
         ORDER BY id DESC
         LIMIT 1",
        values![key],
        |row| Ok((row.get("id")?, prices(row)?)),
    )?;
    if let Some((snapshot, prices)) = latest
        && prices == present
    {
        return Ok(snapshot);
    }
    tx.one(
        "INSERT INTO price_snapshots (model_id, input_price, output_price, cached_input_price, cache_write_price,
                                      created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         RETURNING id",
        values![key, present.input, present.output, present.cached_input, present.cache_write, now],
        |row| row.get("id"),
    )
}

/// The hash of a revision.
///
/// # Errors
/// `Internal` when there is no such revision.
pub fn revision_hash(tx: &mut Tx<'_>, key: RevisionKey) -> Result<String> {
    tx.one("SELECT hash FROM model_revisions WHERE id = ?1", values![key], |row| row.get("hash"))
}

/// What is needed to call a model as a run pinned it; it may be deleted or changed since.
#[derive(Debug, Clone)]
pub struct Pinned {
    /// The model.
    pub key: ModelKey,
    /// Whose it is.
    pub owner: UserKey,
    /// Its public id, which its sealed key is bound to.
    pub id: ModelId,
    /// Its present name.
    pub name: String,
    /// The pinned inference URI.
    pub inference_uri: String,
    /// The pinned parameters, as JSON.
    pub parameters: String,
    /// Calls in flight at once, if it says so.
    pub max_concurrency: Option<u32>,
    /// Time for one answer, if it says so.
    pub timeout_ms: Option<i64>,
    /// Its present prices.
    pub prices: Prices,
}

impl Pinned {
    /// A `provider/model` that nobody registered, with no parameters and no prices.
    #[must_use]
    pub fn unregistered(inference_uri: &str) -> Self {
        Self {
            key: ModelKey(0),
            owner: UserKey(0),
            id: ModelId::from(String::new()),
            name: inference_uri.to_owned(),
            inference_uri: inference_uri.to_owned(),
            parameters: "{}".to_owned(),
            max_concurrency: None,
            timeout_ms: None,
            prices: Prices::default(),
        }
    }
}

/// A model at a revision.
///
/// # Errors
/// `NotFound`.
pub fn pinned(tx: &mut Tx<'_>, revision: RevisionKey) -> Result<Pinned> {
    tx.first(
        "SELECT models.id, models.public_id, models.owner_id, models.name, models.max_concurrency, models.timeout_ms,
                models.input_price, models.output_price, models.cached_input_price, models.cache_write_price,
                model_revisions.inference_uri, model_revisions.parameters
         FROM model_revisions
         JOIN models ON models.id = model_revisions.model_id
         WHERE model_revisions.id = ?1",
        values![revision],
        |row| {
            Ok(Pinned {
                key: row.get("id")?,
                owner: row.get("owner_id")?,
                id: row.get("public_id")?,
                name: row.get("name")?,
                inference_uri: row.get("inference_uri")?,
                parameters: row.get("parameters")?,
                max_concurrency: row.get("max_concurrency")?,
                timeout_ms: row.get("timeout_ms")?,
                prices: prices(row)?,
            })
        },
    )?
    .ok_or(Error::NotFound("model"))
}

/// The prices of a snapshot.
///
/// # Errors
/// `NotFound`.
pub fn price_snapshot(tx: &mut Tx<'_>, key: PriceKey) -> Result<Prices> {
    tx.first(
        "SELECT input_price, output_price, cached_input_price, cache_write_price FROM price_snapshots WHERE id = ?1",
        values![key],
        prices,
    )?
    .ok_or(Error::NotFound("price"))
}
