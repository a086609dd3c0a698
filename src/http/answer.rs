//! The answer of a command as a response: never kept by anybody.

use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, Responder};

use super::Site;
use super::cache::CachePolicy;
use super::error::ApiError;
use super::limits::Payer;
use super::sliced::{MAX_UNCOUNTED, sliced};
use crate::error::Error;
use crate::service::once::Answer;

impl Responder for Answer {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
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
        // What was done is told whether there is room or not.
        let charge = match Site::of(request) {
            Ok(site) if self.body.len() > MAX_UNCOUNTED => {
                site.send_budget.charge(&Payer::of_request(request, site), self.body.len()).ok()
            }
            _ => None,
        };
        response.body(sliced(self.body.into(), charge.map(Arc::new)))
    }
}
