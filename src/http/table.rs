//! The URL table: rows of path and methods that can be read by people, by the router and by tests.
//!
//! Every row answers `OPTIONS`, and 405 with `Allow` to the methods it does not have.

use actix_web::http::header;
use actix_web::web::ServiceConfig;
use actix_web::{Handler, HttpRequest, HttpResponse, Resource, Responder, Route, web};

use super::cache::CachePolicy;

/// The effect of a route: scopes of keys and a store that is read-only go by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Changes nothing.
    Read,
    /// May change something.
    Write,
}

/// One row: a path and what its methods do.
pub struct Row {
    path: &'static str,
    methods: Vec<&'static str>,
    /// Methods that only read, though their name is one of those that write.
    reading: Vec<&'static str>,
    resource: Resource,
}

/// A row without methods yet; `{name}` stands for a variable part of the path.
#[must_use]
pub fn resource(path: &'static str) -> Row {
    Row { path, methods: Vec::new(), reading: Vec::new(), resource: web::resource(path) }
}

/// A row that is also there with a slash after its path: some callers put one.
#[must_use]
pub fn resource_or_slash(path: &'static str) -> Row {
    Row {
        path,
        methods: Vec::new(),
        reading: Vec::new(),
        resource: web::resource([path.to_owned(), format!("{path}/")]),
    }
}

macro_rules! methods {
    ($($method:ident $name:literal),* $(,)?) => { $(
        #[doc = concat!("Answers ", $name, " with `handler`.")]
        #[must_use]
        pub fn $method<F, Args>(self, handler: F) -> Self
        where
            F: Handler<Args>,
            Args: actix_web::FromRequest + 'static,
            F::Output: Responder + 'static,
        {
            self.method($name, web::$method().to(handler))
        }
    )* };
}

impl Row {
    methods!(get "GET", post "POST", put "PUT", patch "PATCH", delete "DELETE");

    /// Its path, relative to the scope it is in.
    #[must_use]
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// Its methods, in the order of the row.
    #[must_use]
    pub fn methods(&self) -> &[&'static str] {
        &self.methods
    }

    /// Marks the method that was added last as one that only reads.
    #[must_use]
    pub fn reading(mut self) -> Self {
        self.reading.extend(self.methods.last());
        self
    }

    /// Returns the effect of one of its methods; none of a method that it does not have.
    #[must_use]
    pub fn effect(&self, method: &str) -> Option<Effect> {
        let reads = method == "GET" || self.reading.contains(&method);
        self.methods.contains(&method).then_some(if reads { Effect::Read } else { Effect::Write })
    }

    fn method(mut self, name: &'static str, route: Route) -> Self {
        self.methods.push(name);
        self.resource = self.resource.route(route);
        self
    }

    /// `GET, HEAD, POST, OPTIONS`: a row that reads answers HEAD too.
    fn allow(&self) -> String {
        let mut names = self.methods.clone();
        if let Some(position) = names.iter().position(|name| *name == "GET") {
            names.insert(position + 1, "HEAD");
        }
        names.push("OPTIONS");
        names.join(", ")
    }

    fn register(self, config: &mut ServiceConfig) {
        let allow = self.allow();
        let other = move |request: HttpRequest| std::future::ready(refuse(&request, &allow));
        config.service(self.resource.default_service(web::to(other)));
    }
}

/// Adds the rows to the router.
pub fn register(config: &mut ServiceConfig, rows: Vec<Row>) {
    for row in rows {
        row.register(config);
    }
}

/// The answer to a method that a row does not have.
fn refuse(request: &HttpRequest, allow: &str) -> HttpResponse {
    let mut response = if request.method() == actix_web::http::Method::OPTIONS {
        HttpResponse::NoContent()
    } else {
        HttpResponse::MethodNotAllowed()
    };
    response.insert_header((header::ALLOW, allow));
    response.insert_header((header::CACHE_CONTROL, CachePolicy::NoStore.value()));
    response.finish()
}
