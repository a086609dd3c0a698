//! The answer of a command as a response: never kept by anybody.

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, Responder};

use super::cache::CachePolicy;
use super::error::ApiError;
use crate::error::Error;
use crate::service::once::Answer;

impl Responder for Answer {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let Ok(status) = StatusCode::from_u16(self.status) else {
            return HttpResponse::from_error(ApiError(Error::internal(format!(
                "{} is no status",
                self.status
            ))));
        };
        let mut response = HttpResponse::build(status);
        response.content_type("application/json");
        response.insert_header((header::CACHE_CONTROL, CachePolicy::NoStore.value()));
        if let Some(location) = self.location {
            response.insert_header((header::LOCATION, location));
        }
        response.body(self.body)
    }
}
