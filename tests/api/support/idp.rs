//! An OpenID Connect provider over real HTTP, well-behaved unless told otherwise: discovery, keys, the page where people
//! sign in (who never has to), and tokens signed with ES256.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use actix_web::web::{Data, Form, Query};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use evalboard::domain::hex;
use evalboard::domain::time::Millis;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A key of this test alone, as PKCS #8; and its point.
const KEY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgMBe6Anzsr9noc6CB5s+1518WYUIYItmJYxK49kqEwrqhRANCAARC+/JJ1Ku09yHZxJGYCYisgY106+jwm2+yisiMsZbq/ftrveyboAplnzL+tOLe95MuEdGiVZHcUxDKw0lifqrr";
const POINT: (&str, &str) = (
    "42fbf249d4abb4f721d9c491980988ac818d74ebe8f09b6fb28ac88cb196eafd",
    "fb6bbdec9ba00a659f32feb4e2def7932e11d1a25591dc5310cac349627eaaeb",
);
pub(crate) const CLIENT: &str = "the-board";
pub(crate) const SECRET: &str = "what the board and the provider know";

/// What the provider is to do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Manners {
    /// Fields of id tokens that are otherwise; null takes one away.
    pub(crate) claims: Value,
    /// Signs with another algorithm: HS256 under the client's secret.
    pub(crate) signs_with_secret: bool,
    /// Changes the last letter of each signature.
    pub(crate) spoils_signatures: bool,
    /// Answers 500 there.
    pub(crate) broken: Option<&'static str>,
}

/// A code that was given, and for what: the nonce and the challenge.
type Codes = HashMap<String, (String, String)>;

#[derive(Clone)]
pub(crate) struct Idp {
    pub(crate) address: SocketAddr,
    manners: Arc<Mutex<Manners>>,
    codes: Arc<Mutex<Codes>>,
}

impl Idp {
    pub(crate) async fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let idp = Self { address, manners: Arc::default(), codes: Arc::default() };
        let shared = idp.clone();
        let server = HttpServer::new(move || {
            App::new()
                .app_data(Data::new(shared.clone()))
                .route("/.well-known/openid-configuration", web::get().to(configuration))
                .route("/keys", web::get().to(keys))
                .route("/authorize", web::get().to(authorize))
                .route("/token", web::post().to(token))
        });
        tokio::spawn(server.workers(1).disable_signals().listen(listener).unwrap().run());
        idp
    }

    pub(crate) fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn behave(&self, manners: Manners) {
        *self.manners.lock().unwrap() = manners;
    }

    fn is_broken(&self, part: &str) -> bool {
        self.manners.lock().unwrap().broken == Some(part)
    }

    fn id_token(&self, nonce: &str) -> String {
        let manners = self.manners.lock().unwrap().clone();
        let now = Millis::now().0 / 1_000;
        let mut claims = json!({
            "iss": self.issuer(), "aud": CLIENT, "sub": "1", "iat": now, "exp": now + 300, "nonce": nonce,
            "email": "member@example.org", "email_verified": true,
        });
        for (name, value) in manners.claims.as_object().into_iter().flatten() {
            let claims = claims.as_object_mut().unwrap();
            if value.is_null() {
                claims.remove(name);
            } else {
                claims.insert(name.clone(), value.clone());
            }
        }
        let (algorithm, key) = if manners.signs_with_secret {
            (Algorithm::HS256, EncodingKey::from_secret(SECRET.as_bytes()).unwrap())
        } else {
            (Algorithm::ES256, EncodingKey::from_ec_der(&BASE64_STANDARD.decode(KEY).unwrap()))
        };
        let header = Header { kid: Some("one".to_owned()), ..Header::new(algorithm) };
        let mut token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
        if manners.spoils_signatures {
            let (head, _) = token.rsplit_once('.').unwrap();
            token = format!("{head}.{}", BASE64_URL_SAFE_NO_PAD.encode([7; 64]));
        }
        token
    }
}

async fn configuration(idp: Data<Idp>) -> HttpResponse {
    if idp.is_broken("discovery") {
        return HttpResponse::InternalServerError().finish();
    }
    let issuer = idp.issuer();
    HttpResponse::Ok().json(json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }))
}

async fn keys(idp: Data<Idp>) -> HttpResponse {
    if idp.is_broken("keys") {
        return HttpResponse::InternalServerError().finish();
    }
    let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(hex::decode(text).unwrap());
    let key = json!({
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "one",
        "x": part(POINT.0), "y": part(POINT.1),
    });
    HttpResponse::Ok().json(json!({"keys": [key]}))
}

/// Sends the browser back with a code, as if its person had signed in.
async fn authorize(idp: Data<Idp>, asked: Query<HashMap<String, String>>) -> HttpResponse {
    for (name, value) in [("client_id", CLIENT), ("response_type", "code"), ("code_challenge_method", "S256")]
    {
        assert_eq!(asked[name], value);
    }
    assert!(asked["scope"].split(' ').any(|scope| scope == "openid"), "{asked:?}");
    let code = format!("code-{}", rand::random::<u64>());
    let given = (asked["nonce"].clone(), asked["code_challenge"].clone());
    idp.codes.lock().unwrap().insert(code.clone(), given);
    let back = format!("{}?code={code}&state={}", asked["redirect_uri"], asked["state"]);
    HttpResponse::Found().insert_header(("location", back)).finish()
}

/// Gives a token for a code, once, to the client that can prove the challenge.
async fn token(idp: Data<Idp>, request: HttpRequest, form: Form<HashMap<String, String>>) -> HttpResponse {
    if idp.is_broken("token") {
        return HttpResponse::InternalServerError().finish();
    }
    let word = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect::<String>();
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{CLIENT}:{word}")));
    let said = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(said, Some(basic));
    let given = idp.codes.lock().unwrap().remove(&form["code"]);
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
    match given {
        Some((nonce, wanted)) if wanted == challenge => HttpResponse::Ok().json(json!({
            "access_token": "unused", "token_type": "Bearer", "expires_in": 300, "id_token": idp.id_token(&nonce),
        })),
        _ => HttpResponse::BadRequest().json(json!({"error": "invalid_grant"})),
    }
}
