//! The real program, killed again and again while files are put up: no row is without its file, no file without a
//! row outlives the sweep, and whoever tries again gets his file up.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use evalboard::store::{Store, blobs};
use futures_util::future::{join, join_all};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Method;
use serde_json::{Value, json};

use super::{kills, seed};
use crate::support::bucket::{BUCKET, Bucket};
use crate::support::field::{text, until};
use crate::support::grants::{PART, hex, noise};
use crate::support::provider::Provider;
use crate::support::site::{Caller, Site};

/// Kills at most: each takes as long as a start.
const MOST_KILLS: usize = 50;
const UPLOADERS: u64 = 3;

/// Somebody who puts files up one after the other, and tries again whatever was not answered.
struct Uploader {
    caller: Caller,
    random: StdRng,
    name: String,
    /// Where the artifacts of its model are.
    artifacts: String,
    /// Whether it may be told to try again: a bucket may still be busy with what it was asked by a server that is dead.
    is_patient: bool,
    /// Addresses and hashes of what was acknowledged.
    kept: Vec<(String, String)>,
}

/// A file that was granted.
struct Grant {
    token: String,
    pathname: String,
}

impl Uploader {
    async fn work(mut self, is_over: &AtomicBool) -> Self {
        while !is_over.load(Ordering::Relaxed) {
            let bytes = self.body();
            let grant = self.grant().await;
            let url = if bytes.len() > PART {
                self.in_parts(&grant, &bytes).await
            } else {
                self.whole(&grant, &bytes).await
            };
            self.keep(&url, &hex(&bytes)).await;
        }
        self
    }

    /// Bytes that no other file has.
    fn body(&mut self) -> Vec<u8> {
        let length = match self.random.random_range(0..4) {
            0 => PART + self.random.random_range(1..PART),
            _ => self.random.random_range(1..1_000_000),
        };
        let mut bytes = noise(length);
        let mark = self.random.random::<u64>().to_be_bytes();
        bytes.extend_from_slice(&mark);
        bytes
    }

    async fn grant(&self) -> Grant {
        let ask = json!({"file_name": "w.bin"});
        let path = format!("{}/request-upload", self.artifacts);
        let answer = until("a grant", async || {
            self.caller.ask(Method::POST, &path, None, Some(&ask)).await.filter(|answer| answer.status == 200)
        })
        .await;
        Grant { token: text(&answer.body["client_token"]), pathname: text(&answer.body["pathname"]) }
    }

    /// Sends something until it is answered; every answer must be that it was done, or to try again.
    async fn send(&self, grant: &Grant, rest: &str, headers: &[(&str, &str)], body: &[u8]) -> Value {
        let path = format!("/api/blob{rest}?pathname={}", grant.pathname);
        let method = if rest.is_empty() { Method::PUT } else { Method::POST };
        until("an answer", async || {
            let answer =
                self.caller.upload(method.clone(), &path, &grant.token, headers, body.to_vec()).await?;
            if self.is_patient && answer.0 == 503 {
                return None;
            }
            assert_eq!(answer.0, 200, "{rest} {headers:?}: {}", answer.1);
            Some(answer.1)
        })
        .await
    }

    async fn whole(&self, grant: &Grant, bytes: &[u8]) -> String {
        text(&self.send(grant, "", &[], bytes).await["url"])
    }

    async fn in_parts(&self, grant: &Grant, bytes: &[u8]) -> String {
        let id = text(&self.send(grant, "/mpu", &[("x-mpu-action", "create")], b"").await["uploadId"]);
        let mut named = Vec::new();
        for (part, number) in bytes.chunks(PART).zip(1_u32..) {
            let number = number.to_string();
            let headers = [
                ("x-mpu-action", "upload"),
                ("x-mpu-upload-id", &id),
                ("x-mpu-part-number", number.as_str()),
            ];
            let answer = self.send(grant, "/mpu", &headers, part).await;
            named.push(json!({"partNumber": number.parse::<u32>().unwrap(), "etag": answer["etag"]}));
        }
        let headers = [("x-mpu-action", "complete"), ("x-mpu-upload-id", id.as_str())];
        text(&self.send(grant, "/mpu", &headers, json!(named).to_string().as_bytes()).await["url"])
    }

    /// Makes something of the file.
    async fn keep(&mut self, url: &str, hash: &str) {
        let body = json!({"blob_url": url, "file_name": "w.bin", "name": "W", "artifact_type": "weights"});
        let key = format!("{}-{}", self.name, self.kept.len());
        let made = until("an artifact", async || {
            self.caller.ask(Method::POST, &self.artifacts, Some(&key), Some(&body)).await
        })
        .await;
        assert_eq!(made.status, 201, "{}", made.body);
        self.kept.push((format!("{}/{}", self.artifacts, text(&made.body["id"])), hash.to_owned()));
    }
}

/// Where the files of a site lie.
enum Files {
    Folder,
    Bucket(Bucket),
}

impl Files {
    /// Paths of those that are there, unfinished ones included, as rows have them.
    fn paths(&self, site: &Site) -> HashSet<String> {
        match self {
            Self::Folder => site.files(),
            Self::Bucket(bucket) => bucket.objects(),
        }
    }

    /// Makes them look as if nobody had written to them for a day.
    fn age(&self, site: &Site) {
        match self {
            Self::Folder => site.age_files(),
            Self::Bucket(bucket) => bucket.age(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_while_files_come_up_keeps_what_it_acknowledged_and_nothing_else() {
    let site = Site::new(&Provider::start());
    survive(&site, &Files::Folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_while_files_go_to_a_bucket_keeps_what_it_acknowledged_and_nothing_else() {
    let Some(bucket) = Bucket::start().await else { return };
    let steadfast = bucket.steadfast().await;
    let mut variables = bucket.variables("secret");
    variables.push(("AWS_ENDPOINT_URL", format!("http://{}", steadfast.address)));
    variables.push(("EVALBOARD_BLOB_STORE", BUCKET.to_owned()));
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let site = Site::operated(&Provider::start(), "", &variables);
    survive(&site, &Files::Bucket(bucket)).await;
}

/// Kills the site's server again and again while files are put up, and looks at what is left.
async fn survive(site: &Site, files: &Files) {
    let (kills, seed) = (kills().min(MOST_KILLS), seed());
    println!("seed {seed}: EVALBOARD_SEED={seed} makes the same choices");
    let mut server = site.start().await;
    let caller = site.caller();
    let model = json!({"name": "w", "inference_uri": "builtin:echo"});
    let model = text(&caller.post("/api/v1/models", &model).await["id"]);
    let is_over = AtomicBool::new(false);
    let working = (0..UPLOADERS).map(|at| {
        let uploader = Uploader {
            caller: caller.clone(),
            random: StdRng::seed_from_u64(seed.wrapping_add(at)),
            name: format!("u{at}"),
            artifacts: format!("/api/v1/models/{model}/artifacts"),
            is_patient: matches!(files, Files::Bucket(_)),
            kept: Vec::new(),
        };
        uploader.work(&is_over)
    });
    let mut random = StdRng::seed_from_u64(seed);
    let killing = async {
        for _ in 0..kills {
            tokio::time::sleep(Duration::from_millis(random.random_range(50..600))).await;
            drop(server);
            server = site.start().await;
        }
        is_over.store(true, Ordering::Relaxed);
        server
    };
    let (uploaders, server) = join(join_all(working), killing).await;
    let kept: Vec<_> = uploaders.into_iter().flat_map(|uploader| uploader.kept).collect();
    for (path, hash) in &kept {
        let found = until("its hash", async || {
            let found = caller.get(path).await.body;
            found["sha256"].is_string().then_some(found)
        })
        .await;
        assert_eq!(found["sha256"], hash.as_str(), "seed {seed}: {path}");
        let address = text(&found["blob_url"]);
        let address = address.splitn(4, '/').nth(3).unwrap();
        assert_eq!(caller.hash_of(&format!("/{address}")).await, *hash, "seed {seed}: {path}");
    }
    drop(server);
    assert_eq!(site.check(), Ok(()), "seed {seed}: a row without its file");
    let left = files.paths(site).len();
    files.age(site);
    let server = site.start().await;
    until("the sweep", async || (files.paths(site).len() == kept.len()).then_some(())).await;
    drop(server);
    let store = Store::open(&site.database()).unwrap();
    assert_eq!(files.paths(site), store.read(blobs::paths).await.unwrap(), "seed {seed}");
    store.close();
    println!("kills {kills}, files {}, swept away {}", kept.len(), left - kept.len());
    assert!(kept.len() >= kills / 2, "hardly anything happened");
    assert_eq!(site.errors(), Vec::<String>::new(), "seed {seed}");
}
