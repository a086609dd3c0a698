//! Short-lived signed tokens in the place of API keys (OAuth 2.0, client credentials): made for whoever holds a key,
//! read back, and nothing stored. What a token may do is looked up with its key.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};

use crate::domain::access_tokens::{Access, Claims, HEAD, LIFE, bucket};
use crate::domain::api_keys::{ApiKey, Scope};
use crate::domain::hex;
use crate::domain::time::Millis;
use crate::error::{Error, Result};
use crate::secrets::MasterKey;
use crate::store::Store;
use crate::store::api_keys::{self, Holder};

/// The only algorithm, for making and for reading.
const ALGORITHM: Algorithm = Algorithm::HS256;
/// What the header says the text is (RFC 9068).
const KIND: &str = "at+jwt";
const SECOND: i64 = 1_000;

/// What makes and reads the tokens of one board.
pub struct AccessTokens {
    issuer: String,
    audience: String,
    header: Header,
    signing: EncodingKey,
    reading: DecodingKey,
    rules: Validation,
}

/// What is asked for.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The public id of the key.
    pub client_id: &'a str,
    /// The text of the key.
    pub client_secret: &'a str,
    /// What the token is to do; all that the key may when it is not said.
    pub scope: Option<Scope>,
}

/// A token that was made.
#[derive(Debug)]
pub struct Granted {
    /// Its text.
    pub token: String,
    /// For how long it counts, in seconds: at most [`LIFE`], and never longer than its key.
    pub seconds: i64,
    /// What it may do.
    pub scope: Scope,
}

/// Why no token is made.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no such key, or it does not count, or it is not the one of that id: all the same.
    #[error("that client_id and that client_secret do not go together")]
    Client,
    /// More than the key may do.
    #[error("this key may only read: ask for the scope read, or for none")]
    Scope,
    /// Anything else.
    #[error(transparent)]
    Other(#[from] Error),
}

impl AccessTokens {
    /// Returns the tokens of the board at `public_url`, which has no slash at its end.
    ///
    /// # Errors
    /// `Internal` when the derived secret is refused as a signing key, which a secret of 32 bytes never is.
    pub fn new(master: &MasterKey, public_url: &str) -> Result<Self> {
        let secret = master.derive("evalboard: sign access tokens");
        let (issuer, audience) = (public_url.to_owned(), format!("{public_url}/api"));
        let mut rules = Validation::new(ALGORITHM);
        rules.leeway = 0;
        rules.validate_nbf = true;
        rules.set_issuer(&[&issuer]);
        rules.set_audience(&[&audience]);
        rules.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        Ok(Self {
            issuer,
            audience,
            header: Header { typ: Some(KIND.to_owned()), ..Header::new(ALGORITHM) },
            signing: EncodingKey::from_secret(&secret).map_err(Error::internal)?,
            reading: DecodingKey::from_secret(&secret).map_err(Error::internal)?,
            rules,
        })
    }

    /// Makes a token for whoever holds a key that counts.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn exchange(&self, store: &Store, asked: &Asked<'_>) -> Result<Granted, Refusal> {
        let hash = ApiKey::parse(asked.client_secret).ok_or(Refusal::Client)?.hash();
        let now = Millis::now();
        let holder = store.read(move |tx| api_keys::find_holder(tx, hash, now)).await?;
        let holder = holder.filter(|holder| holder.id.as_str() == asked.client_id).ok_or(Refusal::Client)?;
        let scope = asked.scope.unwrap_or(holder.scope);
        if scope == Scope::Write && holder.scope == Scope::Read {
            return Err(Refusal::Scope);
        }
        if holder.is_use_due {
            store.write(move |tx| api_keys::note_use(tx, holder.key, now)).await?;
        }
        Ok(self.grant(&holder, &hash, scope, now)?)
    }

    fn grant(&self, holder: &Holder, hash: &[u8; 32], scope: Scope, now: Millis) -> Result<Granted> {
        let from = now.0 / SECOND;
        let end = holder.expires_at.map_or(from + LIFE, |at| (at.0 / SECOND).min(from + LIFE));
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: holder.user.id.to_string(),
            client_id: holder.id.to_string(),
            scope: scope.as_str().to_owned(),
            bucket: hex::encode(&bucket(hash)),
            iat: from,
            nbf: from,
            exp: end,
        };
        Ok(Granted { token: self.sign(&claims)?, seconds: end - from, scope })
    }

    fn sign(&self, claims: &Claims) -> Result<String> {
        jsonwebtoken::encode(&self.header, claims, &self.signing).map_err(Error::internal)
    }

    /// What `text` stands for, if it is a token of this board and in its time; nothing is looked up.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<Access> {
        // Any other head would say another kind or algorithm, whatever the rules make of it.
        let claims = text.starts_with(HEAD).then(|| self.claims(text))??;
        Some(Access {
            key: claims.client_id.into(),
            user: claims.sub.into(),
            scope: Scope::parse(&claims.scope).ok()?,
            bucket: hex::decode(&claims.bucket)?.try_into().ok()?,
        })
    }

    fn claims(&self, text: &str) -> Option<Claims> {
        jsonwebtoken::decode::<Claims>(text, &self.reading, &self.rules).ok().map(|token| token.claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const BOARD: &str = "https://board.example";

    fn master() -> MasterKey {
        "0".repeat(64).parse().unwrap()
    }

    fn tokens() -> AccessTokens {
        AccessTokens::new(&master(), BOARD).unwrap()
    }

    fn claims() -> Value {
        let now = Millis::now().0 / SECOND;
        json!({
            "iss": BOARD, "aud": format!("{BOARD}/api"), "sub": "u", "client_id": "k", "scope": "read",
            "bucket": hex::encode(&[7; 32]), "iat": now, "nbf": now, "exp": now + LIFE,
        })
    }

    fn signed(claims: &Value) -> String {
        let tokens = tokens();
        jsonwebtoken::encode(&tokens.header, claims, &tokens.signing).unwrap()
    }

    #[test]
    fn a_token_says_what_it_stands_for_and_has_our_head() {
        let text = signed(&claims());
        let access = tokens().read(&text).unwrap();
        assert!(text.starts_with(HEAD));
        assert_eq!((access.key.as_str(), access.user.as_str(), access.scope), ("k", "u", Scope::Read));
        assert_eq!(access.bucket, [7; 32]);
    }

    #[test]
    fn every_claim_is_required_and_checked() {
        let now = Millis::now().0 / SECOND;
        for name in claims().as_object().unwrap().keys() {
            let mut less = claims();
            less.as_object_mut().unwrap().shift_remove(name);
            assert_eq!(tokens().read(&signed(&less)), None, "without {name}");
        }
        for (name, value) in [
            ("iss", json!("https://other.example")),
            ("aud", json!(BOARD)),
            ("aud", json!([])),
            ("exp", json!(now - 1)),
            ("nbf", json!(now + 60)),
            ("scope", json!("admin")),
            ("bucket", json!("7")),
            ("sub", json!(7)),
        ] {
            let mut other = claims();
            other[name] = value;
            assert_eq!(tokens().read(&signed(&other)), None, "{name}: {}", other[name]);
        }
    }

    #[test]
    fn what_was_signed_otherwise_is_no_token_of_ours() {
        let key = &tokens().signing;
        for algorithm in [Algorithm::HS384, Algorithm::HS512] {
            let other = jsonwebtoken::encode(&Header::new(algorithm), &claims(), key).unwrap();
            assert_eq!(tokens().read(&other), None, "{algorithm:?}");
        }
        let stranger = AccessTokens::new(&"1".repeat(64).parse().unwrap(), BOARD).unwrap();
        assert_eq!(stranger.read(&signed(&claims())), None);
        let text = signed(&claims());
        let (_, body) = text.split_once('.').unwrap();
        let (body, signature) = body.split_once('.').unwrap();
        let none = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJub25lIn0";
        for bad in [
            format!("{none}.{body}."),
            format!("{none}.{body}.{signature}"),
            format!("{HEAD}{body}."),
            format!("{HEAD}{body}"),
            HEAD.to_owned(),
            String::new(),
        ] {
            assert_eq!(tokens().read(&bad), None, "{bad}");
        }
    }

    #[test]
    fn a_token_ends_with_its_key() {
        let (now, hash) = (Millis::now(), [1; 32]);
        let holder = |expires_at| Holder {
            key: crate::domain::id::ApiKeyKey(1),
            id: "k".to_owned().into(),
            user: crate::domain::users::User {
                key: crate::domain::id::UserKey(1),
                id: "u".to_owned().into(),
                email: "ada@example.org".to_owned(),
                role: crate::domain::users::Role::Member,
            },
            scope: Scope::Write,
            expires_at,
            is_use_due: false,
        };
        let seconds =
            |expires_at| tokens().grant(&holder(expires_at), &hash, Scope::Read, now).unwrap().seconds;
        assert_eq!(seconds(None), LIFE);
        assert_eq!(seconds(Some(now.plus(3_600_000))), LIFE);
        assert!((59..=60).contains(&seconds(Some(now.plus(60_000)))));
    }
}
