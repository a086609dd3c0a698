//! Signing in with an OpenID Connect provider (authorization code flow with PKCE): a provider vouches for an address, and
//! whoever has it here gets a session. Who may have one is the board's to say.
//!
//! What must not be guessed (nonce, verifier) is derived from the state and a key of ours, so that nothing of it is
//! stored.

use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreProviderMetadata};
use openidconnect::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet,
    EndpointSet, HttpRequest, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RequestTokenError, Scope, TokenResponse,
};
use secrecy::{ExposeSecret, SecretString};

use crate::config;
use crate::domain::redaction::{REDACTED, redacted};
use crate::domain::time::Millis;
use crate::domain::tokens::Token;
use crate::domain::{hex, signature};
use crate::egress::Guard;
use crate::error::{Error, Result, explain};
use crate::secrets::MasterKey;
use crate::store::{Store, sign_ins};

/// Where a provider sends people back to, below the board's own address.
const BACK: &str = "/login/oidc/callback";
/// Bytes of an answer of the provider.
const LIMIT: usize = 256 * 1024;

/// The provider's client once its endpoints are known.
type Known = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// A provider that people may sign in with.
pub struct Oidc {
    issuer: IssuerUrl,
    id: ClientId,
    secret: Option<SecretString>,
    name: String,
    back: RedirectUrl,
    /// Lower-case; whose addresses become members by themselves.
    domains: Vec<String>,
    guard: Guard,
    key: [u8; 32],
}

impl Oidc {
    /// The provider of the settings, if they name one; `public_url` is the board's own address, without a slash at its
    /// end.
    ///
    /// # Errors
    /// `Invalid` naming the setting: an issuer that may not be called.
    pub fn new(
        settings: &config::Oidc,
        guard: &Guard,
        master: &MasterKey,
        public_url: &str,
    ) -> Result<Option<Self>> {
        let (Some(issuer), Some(id)) = (&settings.oidc_issuer, &settings.oidc_client_id) else {
            return Ok(None);
        };
        let field = "EVALBOARD_OIDC_ISSUER";
        let checked = guard.check(issuer, field)?;
        let bad = |cause| Error::invalid(field, format!("{field} must be a URL: {cause}"));
        let host = checked.host_str().unwrap_or_default();
        let domains = settings.oidc_domains.iter().map(|domain| domain.trim().to_lowercase());
        Ok(Some(Self {
            issuer: IssuerUrl::new(issuer.clone()).map_err(bad)?,
            id: ClientId::new(id.clone()),
            secret: settings.oidc_client_secret.clone().map(SecretString::from),
            name: settings.oidc_name.clone().unwrap_or_else(|| host.to_owned()),
            back: RedirectUrl::new(format!("{public_url}{BACK}")).map_err(Error::internal)?,
            domains: domains.filter(|domain| !domain.is_empty()).collect(),
            guard: guard.clone(),
            key: master.derive("evalboard: sign-ins with a provider"),
        }))
    }

    /// What people know it by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Begins a sign-in in the browser that holds `browser`, of somebody who then wants to be at `next`. Answers the
    /// address at the provider that he is to be sent to.
    ///
    /// # Errors
    /// `Unavailable` when the provider does not answer as it should; the store's.
    pub async fn begin(&self, store: &Store, browser: &Token, next: &str) -> Result<String> {
        let client = self.discover().await?;
        let state = Token::generate(&mut rand::rng());
        let (hash, browser, next) = (state.hash(), browser.hash(), next.to_owned());
        store.write(move |tx| sign_ins::insert(tx, hash, browser, &next, Millis::now())).await?;
        let word = CsrfToken::new(state.expose().to_owned());
        let nonce = self.nonce(&state);
        let (address, ..) = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, move || word, move || nonce)
            .add_scope(Scope::new("email".to_owned()))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&self.verifier(&state)))
            .url();
        Ok(address.into())
    }

    /// Ends the sign-in that `state` names, once: answers where its person wants to be.
    ///
    /// # Errors
    /// `Invalid` when there is none of this browser, any more.
    pub async fn take(&self, store: &Store, browser: &Token, state: &Token) -> Result<String> {
        let (hash, browser) = (state.hash(), browser.hash());
        let next = store.write(move |tx| sign_ins::take(tx, hash, browser, Millis::now())).await?;
        next.ok_or_else(|| {
            let message = "this sign-in is over, or was begun in another browser: begin it again";
            Error::bad_request(message)
        })
    }

    /// The address that the provider vouches for, in return for its `code`.
    ///
    /// # Errors
    /// `Forbidden` when it does not, or its word does not hold; `Unavailable` when it does not answer as it should.
    pub async fn vouched(&self, state: &Token, code: &str) -> Result<String> {
        let client = self.discover().await?;
        let call = self.caller();
        let answer = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|cause| self.silent(&cause))?
            .set_pkce_verifier(self.verifier(state))
            .request_async(&call)
            .await
            .map_err(|cause| match cause {
                // It may repeat what it was sent.
                RequestTokenError::ServerResponse(_) => self.refused(&Hidden::new(&cause, code)),
                other => self.silent(&Hidden::new(&other, code)),
            })?;
        let token = answer.id_token().ok_or_else(|| self.refused(&Missing("an id token")))?;
        let claims = token
            .claims(&client.id_token_verifier(), &self.nonce(state))
            .map_err(|cause| self.refused(&cause))?;
        let email = claims.email().ok_or_else(|| self.refused(&Missing("an e-mail address")))?;
        if claims.email_verified() != Some(true) {
            let name = &self.name;
            return Err(Error::Forbidden(format!("{name} has not verified your e-mail address")));
        }
        Ok(email.as_str().to_owned())
    }

    /// Whether whoever has that address becomes a member by signing in.
    #[must_use]
    pub fn may_join(&self, email: &str) -> bool {
        let domain = email.rsplit_once('@').map(|(_, domain)| domain.to_lowercase());
        domain.is_some_and(|domain| self.domains.contains(&domain))
    }

    async fn discover(&self) -> Result<Known> {
        let metadata = CoreProviderMetadata::discover_async(self.issuer.clone(), &self.caller())
            .await
            .map_err(|cause| self.silent(&cause))?;
        let ways = metadata.token_endpoint_auth_methods_supported();
        // Where nothing is said, HTTP Basic is what the standard means.
        let is_in_form = ways.is_some_and(|ways| !ways.contains(&CoreClientAuthMethod::ClientSecretBasic));
        let secret = self.secret.as_ref().map(|secret| ClientSecret::new(secret.expose_secret().to_owned()));
        let client = CoreClient::from_provider_metadata(metadata, self.id.clone(), secret)
            .set_redirect_uri(self.back.clone());
        Ok(if is_in_form { client.set_auth_type(AuthType::RequestBody) } else { client })
    }

    /// What makes the library's calls.
    fn caller(
        &self,
    ) -> impl Fn(
        HttpRequest,
    ) -> std::pin::Pin<
        Box<dyn Future<Output = Result<openidconnect::HttpResponse, crate::egress::Fault>> + Send>,
    > + use<> {
        let guard = self.guard.clone();
        move |request| {
            let guard = guard.clone();
            Box::pin(async move { guard.exchange(request, LIMIT).await })
        }
    }

    fn nonce(&self, state: &Token) -> Nonce {
        Nonce::new(self.derived("nonce", state))
    }

    fn verifier(&self, state: &Token) -> PkceCodeVerifier {
        PkceCodeVerifier::new(self.derived("verifier", state))
    }

    fn derived(&self, purpose: &str, state: &Token) -> String {
        hex::encode(&signature::sign(&self.key, format!("{purpose}\0{}", state.expose()).as_bytes()))
    }

    /// It is down, or speaks otherwise than it should. What it said is for the log.
    fn silent(&self, cause: &(dyn std::error::Error + 'static)) -> Error {
        tracing::warn!(provider = self.name, error = %redacted(&explain(cause)), "the provider did not answer as it should");
        let name = &self.name;
        Error::Unavailable(format!("{name} does not answer as it should: try again later"))
    }

    fn refused(&self, cause: &(dyn std::error::Error + 'static)) -> Error {
        tracing::warn!(provider = self.name, error = %redacted(&explain(cause)), "a sign-in was refused");
        let name = &self.name;
        Error::Forbidden(format!("{name} does not vouch for you in a way that holds: begin again"))
    }
}

/// An error, with its causes, that does not repeat a sign-in's code.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Hidden(String);

impl Hidden {
    fn new(cause: &(dyn std::error::Error + 'static), code: &str) -> Self {
        let text = explain(cause);
        Self(if code.is_empty() { text } else { text.replace(code, REDACTED) })
    }
}

/// What an answer of the provider lacks.
#[derive(Debug, thiserror::Error)]
#[error("there is no {0}")]
struct Missing(&'static str);
