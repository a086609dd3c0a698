//! Secrets with names that nothing else has: planted wherever a secret goes in, then looked for wherever anything
//! comes out. Every GET as everybody, every page, the log at its most talkative, the data folder and a backup of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine as _};
use evalboard::domain::hex;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::browser::{Browser, between};
use crate::support::field::until;
use crate::support::hook::Hook;
use crate::support::provider::{Act, Provider, Script};
use crate::support::site::{Running, Site};
use crate::support::steps::text;
use crate::support::{Client, Reply};

const MODEL_KEY: &str = "sk-canary-of-a-model-1b8d";
const OPERATOR_KEY: &str = "sk-ant-canary-of-the-operator-77c2";
const WEBHOOK_SECRET: &str = "canary-of-a-webhook-5e1f";
const PASSWORD: &str = "canary password of ada 9c41";
/// Something that is no secret, so that what is looked through has something to find.
const PLAIN: &str = "plain-as-day-40ad";

/// A site with everything in it that is made with a secret, and the secrets.
struct Planted {
    site: Site,
    /// It dies with the test.
    _server: Running,
    /// By what they are.
    secrets: BTreeMap<&'static str, String>,
    /// Of everything that an address may name, by the noun of its collection.
    ids: BTreeMap<&'static str, String>,
    member: Client,
    admin: Client,
    ada: Browser,
}

/// The environment of an operator who pays for models, and hides nothing from his log.
fn operator(hook: &Hook) -> [(&'static str, String); 4] {
    [
        ("ANTHROPIC_API_KEY", OPERATOR_KEY.to_owned()),
        ("EVALBOARD_WEBHOOK_ALLOW", format!("http://{}", hook.address)),
        ("EVALBOARD_RATE_LOGIN", "1000".to_owned()),
        ("RUST_LOG", "trace".to_owned()),
    ]
}

/// What every hostile or careless provider does: it says the key that it was sent.
fn telltale() -> Script {
    Script::by(|asked| {
        let key = asked.headers.get("authorization").or(asked.headers.get("x-api-key"));
        let key = key.cloned().unwrap_or_default();
        match asked.prompt() {
            "answer" => Act::Say(format!("your key is {key}")),
            "body" => Act::Body(format!("<h1>bad key {key}</h1>").into_bytes()),
            "status" => Act::Status(401, None),
            _ => Act::BreakOff,
        }
    })
}

async fn plant(provider: &Provider, hook: &Hook) -> (Planted, Vec<String>) {
    let variables = operator(hook);
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let site = Site::operated(provider, &hook.address.to_string(), &variables);
    let server = site.start().await;
    let (member, admin) = (site.member("member@example.org"), site.admin());
    let mut secrets = BTreeMap::from([
        ("a model's key", MODEL_KEY.to_owned()),
        ("the operator's key", OPERATOR_KEY.to_owned()),
        ("a webhook's secret", WEBHOOK_SECRET.to_owned()),
        ("a password", PASSWORD.to_owned()),
        ("a member's key", member.credential().to_owned()),
        ("an admin's key", admin.credential().to_owned()),
        (
            "the master key",
            std::fs::read_to_string(site.path().join("master.key")).unwrap().trim().to_owned(),
        ),
    ]);
    let mut ids = BTreeMap::new();
    let mut make = async |noun: &'static str, path: &str, body: Value| {
        // Only an admin may add a model that the operator pays for.
        let made = if body["name"] == "claude" { &admin } else { &member }.made(path, &body).await;
        ids.insert(noun, text(&made, "id").to_owned());
        made
    };
    for (name, uri, key) in
        [("claude", "anthropic/claude".to_owned(), None), ("own", provider.uri("own"), Some(MODEL_KEY))]
    {
        provider.script(name, telltale());
        let model = json!({"name": name, "description": PLAIN, "inference_uri": uri, "api_key": key});
        make("models", "/api/v1/models", model).await;
    }
    let samples: Vec<Value> =
        ["answer", "body", "status", "break"].map(|input| json!({"input": input, "target": "x"})).into();
    let eval = json!({"name": "Says", "prompt": "{{input}}", "eval_type": "includes", "samples": samples});
    make("evals", "/api/v1/evals", eval).await;
    let criteria = json!({"url": hook.url(), "secret": WEBHOOK_SECRET});
    let hooked = json!({"name": "Hooked", "prompt": "answer", "eval_type": "webhook", "expected_behavior": "x", "eval_criteria": criteria});
    make("evals", "/api/v1/evals", hooked).await;
    let set = json!({"name": "Set", "file_name": "a.jsonl", "blob_url": "https://files.example/a.jsonl"});
    make("training-sets", "/api/v1/training-sets", set).await;
    let made = make("keys", "/api/v1/keys", json!({"name": "made by a key"})).await;
    secrets.insert("a key made by a key", text(&made, "key").to_owned());
    let artifacts = format!("/api/v1/models/{}/artifacts", ids["models"]);
    let artifact = json!({"name": "Weights", "artifact_type": "weights", "file_name": "w.bin", "blob_url": "https://files.example/w.bin"});
    ids.insert("artifacts", text(&member.made(&artifacts, &artifact).await, "id").to_owned());
    let schedule = admin.made("/api/v1/schedules", &json!({"name": "Nightly", "cron": "0 3 * * *"})).await;
    ids.insert("schedules", text(&schedule, "id").to_owned());
    let upload = json!({"file_name": "lines.jsonl", "content_type": "application/x-ndjson"});
    let granted = member.ask(Method::POST, "/api/v1/training-sets/request-upload").json(&upload).send().await;
    secrets.insert("an upload's token", text(&granted.json(), "client_token").to_owned());
    let id = text(&member.read("/api/v1/keys").await[0], "id").to_owned();
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret={}", text(&made, "key"));
    let kind = "application/x-www-form-urlencoded";
    let nobody = Client::new(site.address(), None);
    let token =
        nobody.ask(Method::POST, "/oauth2/token").header("content-type", kind).body(form).send().await;
    secrets.insert("an access token", text(&token.json(), "access_token").to_owned());
    let cases = run(&admin, &mut ids).await;
    let ada = enter(&site, &mut secrets).await;
    (Planted { site, _server: server, secrets, ids, member, admin, ada }, cases)
}

/// Runs all of it as the admin, who may spend the operator's money; answers the ids of its cases.
async fn run(admin: &Client, ids: &mut BTreeMap<&'static str, String>) -> Vec<String> {
    let run = admin.post("/api/v1/runs", &json!({})).await.json();
    let path = format!("/api/v1/runs/{}", text(&run, "id"));
    until("the run to end", async || {
        let run = admin.read(&path).await;
        (run["case_done"] == run["case_total"] && run["status"] != "queued").then_some(())
    })
    .await;
    ids.insert("runs", text(&run, "id").to_owned());
    let mut cases = Vec::new();
    for result in admin.read(&format!("{path}/results")).await.as_array().unwrap() {
        ids.insert("results", text(result, "id").to_owned());
        let list = admin.read(&format!("/api/v1/results/{}/cases", text(result, "id"))).await;
        cases.extend(list.as_array().unwrap().iter().map(|case| text(case, "id").to_owned()));
    }
    ids.insert("cases", cases[0].clone());
    cases
}

/// Sets the board's first admin up in a browser, and makes a key there.
async fn enter(site: &Site, secrets: &mut BTreeMap<&'static str, String>) -> Browser {
    let mut ada = Browser::new(site.address());
    ada.origin = Some(format!("http://{}", site.address()));
    let log = std::fs::read_to_string(site.log()).unwrap();
    let token = between(&log, "/setup?token=", "\n").unwrap();
    let fields = [
        ("token", token.as_str()),
        ("email", "ada@example.org"),
        ("password", PASSWORD),
        ("again", PASSWORD),
    ];
    let in_now = ada.fill(&format!("/setup?token={token}"), "/setup", &fields).await;
    assert_eq!(in_now.code(), 303, "{}", in_now.text());
    let cookie = ada.cookie.clone().unwrap();
    secrets.insert("a session", cookie.split_once('=').unwrap().1.to_owned());
    let page = ada
        .fill_and_follow(
            "/settings/api-keys",
            "/settings/api-keys",
            &[("name", "made on a page"), ("scope", "write")],
        )
        .await;
    let key = between(&page.text(), "<code>blah_", "</code>").unwrap();
    secrets.insert("a key made on a page", format!("blah_{key}"));
    ada
}

impl Planted {
    /// The names of the secrets that are in `bytes`, in any of the forms that programs write bytes in.
    fn found_in(&self, bytes: &[u8]) -> BTreeSet<&'static str> {
        let is_in = |secret: &str| {
            // Without its last letters, base64 is the same whatever follows in the text that was encoded.
            let base64 = BASE64_STANDARD_NO_PAD.encode(secret);
            let forms =
                [secret.to_owned(), hex::encode(secret.as_bytes()), base64[..base64.len() - 3].to_owned()];
            forms.iter().any(|form| holds(bytes, form.as_bytes()))
        };
        self.secrets.iter().filter(|(_, secret)| is_in(secret)).map(|(name, _)| *name).collect()
    }

    /// The path with the id of something for each variable part.
    fn fill(&self, template: &str) -> String {
        let mut path = String::new();
        for part in template.split('/').skip(1) {
            let collection = path.rsplit('/').next().unwrap();
            let noun = if collection == "badge" { "models" } else { collection };
            let next = match part.strip_prefix('{').and_then(|part| part.split_once('}')) {
                Some((_, ending)) => {
                    format!("{}{ending}", self.ids.get(noun).unwrap_or_else(|| panic!("no {noun}")))
                }
                None => part.to_owned(),
            };
            path = format!("{path}/{next}");
        }
        path
    }
}

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

/// Where somebody may put a secret by mistake: each `~` is the secret as it is, each `^` with an encoded letter.
const MISPLACED: [&str; 24] = [
    "DELETE /api/v1/keys/~ HTTP/1.1",
    "DELETE /api/v1/keys/^ HTTP/1.1",
    "DELETE //api//v1//keys//~/ HTTP/1.1",
    "DELETE /api/v1/keys/~;x=1 HTTP/1.1",
    "POST /api/v1/runs/~/cancel HTTP/1.1",
    "POST /api/v1/~ HTTP/1.1",
    "GET /~ HTTP/1.1",
    "GET /^ HTTP/1.1",
    "GET /a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/~ HTTP/1.1",
    "GET /files/x/~.bin HTTP/1.1",
    "GET /static/~ HTTP/1.1",
    "GET /preview/models/~.png HTTP/1.1",
    "GET /api/v1/models?api_key=~ HTTP/1.1",
    "GET /api/v1/models?key=^ HTTP/1.1",
    "GET /setup?token=~ HTTP/1.1",
    "GET /login/oidc/callback?state=~&code=~ HTTP/1.1",
    "PUT /api/blob/?pathname=~ HTTP/1.1",
    "POST /settings/api-keys/~/revoke HTTP/1.1",
    "GET http://user:~@board.example/~ HTTP/1.1",
    "~ / HTTP/1.1",
    "GET /~ HTTP/9.9",
    "GET /~",
    "CONNECT ~:443 HTTP/1.1",
    "OPTIONS /api/v1/~ HTTP/1.1",
];

/// Sends the secrets wherever they do not belong.
fn misplace(planted: &Planted) {
    for secret in planted.secrets.values() {
        let plain = secret.replace(' ', "+");
        let encoded = format!("%{:02x}{}", plain.as_bytes()[0], &plain[1..]);
        for line in MISPLACED {
            let line = line.replace('~', &plain).replace('^', &encoded);
            let mut stream = TcpStream::connect(planted.site.address()).unwrap();
            stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
            let head = format!(
                "Host: {plain}\r\nAuthorization: Basic {plain}\r\nX-Api-Key: {plain}\r\nCookie: evalboard={plain}"
            );
            let request = format!("{line}\r\n{head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            // What is answered, if anything, is for whoever sent the secret.
            drop(stream.read_to_end(&mut Vec::new()));
        }
    }
}

/// Every address of the document and of the table of pages that is read.
async fn addresses(planted: &Planted) -> Vec<String> {
    let document = planted.admin.read("/api/v1/openapi.json").await;
    let paths = document["paths"].as_object().unwrap().iter();
    let read = paths.filter(|(_, methods)| methods.get("get").is_some()).map(|(path, _)| path.clone());
    let pages = evalboard::http::pages::table();
    let pages = pages.iter().filter(|row| row.methods().contains(&"GET")).map(|row| row.path().to_owned());
    let is_asset = |path: &String| path.starts_with("/static/");
    let mut all: Vec<String> =
        read.chain(pages).filter(|path| !is_asset(path)).map(|path| planted.fill(&path)).collect();
    assert!(all.len() > 50, "{all:?}");
    all.push("/api/v1/models/nothing".to_owned());
    all.extend(
        ["csv", "latex", "markdown", "json"].map(|format| format!("/api/v1/leaderboard?format={format}")),
    );
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_comes_out_of_any_answer_log_file_or_backup() {
    let (provider, hook) = (Provider::start(), Hook::answering(&[(200, r#"{"score": 1}"#)]));
    let (mut planted, cases) = plant(&provider, &hook).await;
    let sent = |model: &str, header: &str| provider.asked(model)[0].headers[header].clone();
    assert!(
        sent("own", "authorization").contains(MODEL_KEY)
            && sent("claude", "x-api-key").contains(OPERATOR_KEY)
    );
    assert!(!hook.calls().is_empty());

    let mut seen = BTreeSet::new();
    let mut look = |planted: &Planted, what: &str, bytes: &[u8]| {
        assert_eq!(planted.found_in(bytes), BTreeSet::new(), "{what}");
        if holds(bytes, PLAIN.as_bytes()) {
            seen.insert(what.to_owned());
        }
    };
    let anonymous = Client::new(planted.site.address(), None);
    let mut all = addresses(&planted).await;
    all.extend(cases.iter().map(|id| format!("/api/v1/cases/{id}")));
    all.extend(cases.iter().map(|id| format!("/cases/{id}")));
    for path in &all {
        for client in [&anonymous, &planted.member, &planted.admin] {
            let reply = client.get(path).await;
            assert!(reply.code() < 500, "{path}: {}", reply.text());
            look(&planted, path, &with_head(&reply, &planted));
        }
        let page = planted.ada.open(path).await;
        look(&planted, path, &with_head(&page, &planted));
    }

    misplace(&planted);
    let backup = planted.site.path().join("backup.tar");
    let made = Command::new(env!("CARGO_BIN_EXE_evalboard"))
        .arg("backup")
        .arg(&backup)
        .arg("--data-dir")
        .arg(planted.site.path())
        .env("RUST_LOG", "trace")
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    look(&planted, "what backup says", &[made.stdout, made.stderr].concat());
    let log = std::fs::read_to_string(planted.site.log()).unwrap();
    assert!(log.contains(" DEBUG ") || log.contains(" TRACE "), "{log}");
    assert!(
        log.contains("/api/v1/keys/[redacted]") && log.contains("/settings/api-keys/[redacted]/revoke"),
        "{log}"
    );
    // What was sent with an encoded letter is as good as the whole.
    for (name, secret) in &planted.secrets {
        assert!(!log.contains(&secret.replace(' ', "+")[1..]), "{name} without its first letter: {log}");
    }
    for file in files(planted.site.path()) {
        if file.ends_with("master.key") {
            continue;
        }
        look(&planted, &file.display().to_string(), &std::fs::read(&file).unwrap());
    }
    let places: Vec<&String> = seen.iter().collect();
    let is_seen = |end: &str| places.iter().any(|place| place.ends_with(end));
    for place in [
        "backup.tar",
        "evalboard.db-wal",
        &planted.fill("/api/v1/models/{id}"),
        &planted.fill("/models/{id}"),
    ] {
        assert!(is_seen(place), "nothing was looked through at {place}: {places:?}");
    }
}

/// Head and body of an answer; what hands the browser its own cookie is left out.
fn with_head(reply: &Reply, planted: &Planted) -> Vec<u8> {
    let session = &planted.secrets["a session"];
    let said = reply.headers.iter().filter(|(name, value)| {
        !(*name == "set-cookie" && value.to_str().is_ok_and(|value| value.contains(session.as_str())))
    });
    let head: Vec<u8> = said.flat_map(|(_, value)| [value.as_bytes(), b"\n"].concat()).collect();
    [head, reply.body.clone()].concat()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
