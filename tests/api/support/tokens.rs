//! Tokens in the place of keys: asked for as a program does, and forged as nobody should.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use evalboard::domain::api_keys::ApiKey;
use evalboard::domain::time::Millis;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::steps::text;
use super::{Board, Client, PUBLIC_URL, Reply};

pub(crate) const TOKEN: &str = "/oauth2/token";
const FORM: &str = "application/x-www-form-urlencoded";

impl Board {
    /// Asks for a token with these fields, and with HTTP Basic when a name and a secret are given for it.
    pub(crate) async fn ask_token(&self, basic: Option<(&str, &str)>, fields: &[(&str, &str)]) -> Reply {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let asked = self.anonymous.ask(Method::POST, TOKEN).header("content-type", FORM).body(body);
        let asked = match basic {
            Some((name, secret)) => {
                let word = BASE64_STANDARD.encode(format!("{name}:{secret}"));
                asked.header("authorization", &format!("Basic {word}"))
            }
            None => asked,
        };
        asked.send().await
    }

    /// The id of the only key of that caller.
    pub(crate) async fn key_id(&self, client: &Client) -> String {
        let keys = client.read("/api/v1/keys").await;
        assert_eq!(keys.as_array().unwrap().len(), 1);
        text(&keys[0], "id").to_owned()
    }

    /// A caller with a token for the key of that id and text.
    pub(crate) async fn with_token_for(&self, id: &str, key: &str, scope: &str) -> Client {
        let reply =
            self.ask_token(Some((id, key)), &[("grant_type", "client_credentials"), ("scope", scope)]).await;
        assert_eq!(reply.code(), 200, "{}", reply.text());
        Client::bearing(self.address, Some(text(&reply.json(), "access_token")))
    }

    /// A caller with a token for the only key of that caller.
    pub(crate) async fn with_token_of(&self, client: &Client, scope: &str) -> Client {
        self.with_token_for(&self.key_id(client).await, client.credential(), scope).await
    }

    /// What a token for the member's key says that was made this moment.
    pub(crate) async fn claims(&self) -> Value {
        let me = self.member.read("/api/v1/me").await;
        let now = Millis::now().0 / 1_000;
        let hash = ApiKey::parse(self.member.credential()).unwrap().hash();
        let bucket = evalboard::domain::access_tokens::bucket(&hash);
        json!({
            "iss": PUBLIC_URL, "aud": format!("{PUBLIC_URL}/api"), "sub": me["id"],
            "client_id": self.key_id(&self.member).await, "scope": "write",
            "bucket": evalboard::domain::hex::encode(&bucket), "iat": now, "nbf": now, "exp": now + 600,
        })
    }

    /// A token that says this, signed as ours are, but for the algorithm.
    pub(crate) fn forged(&self, algorithm: Algorithm, claims: &Value) -> String {
        let key = self.house.app.master.derive("evalboard: sign access tokens");
        let header = Header { typ: Some("at+jwt".to_owned()), ..Header::new(algorithm) };
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(&key).unwrap()).unwrap()
    }
}
