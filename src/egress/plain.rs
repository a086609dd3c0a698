//! Calls in the words of the `http` crate, for libraries that bring requests of their own: read whole, within limits.

use openidconnect::{HttpRequest, HttpResponse, http};

use super::{Fault, Guard};

impl Guard {
    /// Makes the call of a library, and reads at most `cap` bytes of its answer.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub async fn exchange(&self, request: HttpRequest, cap: usize) -> Result<HttpResponse, Fault> {
        let request = reqwest::Request::try_from(request).map_err(Fault::of)?;
        let response = self.send(request).await?;
        let mut head = http::Response::builder().status(response.status());
        if let Some(headers) = head.headers_mut() {
            *headers = response.headers().clone();
        }
        let body = self.read_capped(response, cap).await?;
        head.body(body.to_vec()).map_err(|_| Fault::NotHttp)
    }
}
