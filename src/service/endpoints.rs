//! Who may see where models are called: what the operator set, applied to one caller.

use crate::app::App;
use crate::config::Endpoints as Setting;
use crate::domain::users::Caller;
use crate::domain::veil::Veil;
use crate::error::Result;
use crate::store::{Tx, models};

/// What a caller may see of the models' endpoints, before it is known which there are.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// Base URLs that the operator configured for providers; none where everything is shown.
    hidden: Option<Vec<String>>,
}

impl Endpoints {
    /// As `caller` may see them. What is made for an anonymous caller is everybody's.
    #[must_use]
    pub fn of(app: &App, caller: &Caller) -> Self {
        let shows_all = app.config.endpoints == Setting::Public || matches!(caller, Caller::User(_));
        Self { hidden: (!shows_all).then(|| app.engine.providers().configured_urls()) }
    }

    /// The veil over the endpoints of all models there are and ever were. It goes over whatever of a model, a run or a
    /// case is shown.
    ///
    /// # Errors
    /// The store's.
    pub fn veil(&self, tx: &mut Tx<'_>) -> Result<Veil> {
        let Some(configured) = &self.hidden else { return Ok(Veil::default()) };
        let called = models::called_urls(tx)?;
        Veil::over(called.iter().chain(configured).map(String::as_str))
    }
}
