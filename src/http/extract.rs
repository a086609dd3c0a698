//! Ids in paths. Whether the thing exists is the store's to say.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use super::error::ApiError;
use crate::domain::id::{
    ApiKeyId, ArtifactId, CaseId, EvalId, ModelId, ResultId, RunId, ScheduleId, TrainingSetId, UploadId,
    UserId,
};
use crate::error::{Error, Result};

/// Longest id that is looked up at all, in characters.
const LONGEST: usize = 64;

/// An id that may stand in a path.
pub trait PathId: From<String> + 'static {
    /// What it identifies, for the 404.
    const NOUN: &'static str;
}

macro_rules! path_ids {
    ($($id:ident $noun:literal),* $(,)?) => { $(
        impl PathId for $id { const NOUN: &'static str = $noun; }
        impl FromPath for $id {
            fn from_path(parts: &mut dyn Iterator<Item = &str>) -> Result<Self> { next(parts) }
        }
    )* };
}

path_ids! {
    UserId "user", ApiKeyId "API key", ModelId "model", EvalId "eval", RunId "run", ResultId "result",
    CaseId "case", ArtifactId "artifact", TrainingSetId "training set", UploadId "upload",
    ScheduleId "schedule",
}

/// What the variable parts of a path make, in their order.
pub trait FromPath: Sized + 'static {
    /// Takes what it needs.
    ///
    /// # Errors
    /// `NotFound` when a part cannot be an id.
    fn from_path(parts: &mut dyn Iterator<Item = &str>) -> Result<Self>;
}

impl<A: PathId, B: PathId> FromPath for (A, B) {
    fn from_path(parts: &mut dyn Iterator<Item = &str>) -> Result<Self> {
        Ok((next(parts)?, next(parts)?))
    }
}

fn next<T: PathId>(parts: &mut dyn Iterator<Item = &str>) -> Result<T> {
    let shaped = |text: &&str| {
        (1..=LONGEST).contains(&text.len())
            && text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
    };
    parts.next().filter(shaped).map(|text| T::from(text.to_owned())).ok_or(Error::NotFound(T::NOUN))
}

/// The id in the path, or a pair of them: `Id<ModelId>`, `Id<(ModelId, ArtifactId)>`.
#[derive(Debug, Clone)]
pub struct Id<T>(pub T);

impl<T: FromPath> FromRequest for Id<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut parts = request.match_info().iter().map(|(_, value)| value);
        ready(T::from_path(&mut parts).map(Self).map_err(ApiError))
    }
}
