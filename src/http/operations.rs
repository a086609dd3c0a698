//! The operations of an OpenAPI document, each with its method.

use utoipa::openapi::PathItem;
use utoipa::openapi::path::Operation;

/// Returns the operations of one path with their methods in lower case.
pub(super) fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let PathItem { get, put, post, patch, delete, .. } = item;
    let all = [("get", get), ("put", put), ("post", post), ("patch", patch), ("delete", delete)];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}
