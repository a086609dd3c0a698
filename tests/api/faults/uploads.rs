//! Somebody who puts files up, whole and in parts, and can take each upload up again where it was acknowledged.

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Method;
use serde_json::{Value, json};

use super::ledger::Step;
use super::shim::{Failure, Shim};
use super::writer::PAUSE;
use crate::support::field::{text, until};
use crate::support::grants::{PART, hex, noise};
use crate::support::site::{Answer, Caller};

/// Every so many uploads have parts of the size that fills its place in the whole.
const FULL_PARTS: usize = 8;

/// A file on its way, step by step.
struct Upload {
    name: String,
    bytes: Vec<u8>,
    /// Bytes of its parts; none when it is put up whole.
    part: Option<usize>,
    grant: Step,
    begun: Option<Step>,
    parts: Vec<Step>,
    /// The whole file, or the request to put it together.
    put: Option<Step>,
    attached: Option<Step>,
    deleted: Option<Step>,
}

/// What sends the steps of an upload: each until it succeeds, as often as it takes.
struct Sender<'s> {
    caller: &'s Caller,
    shim: &'s Shim,
    /// Where the artifacts of its model are.
    artifacts: &'s str,
    /// Whether the server is in no trouble: then nothing may fail.
    is_strict: bool,
}

/// Uploads one after the other.
pub(super) struct Uploader {
    caller: Caller,
    shim: Arc<Shim>,
    random: StdRng,
    name: String,
    artifacts: String,
    uploads: Vec<Upload>,
    /// Positions at which something was acknowledged.
    pub(super) acknowledged: Vec<u64>,
}

impl Uploader {
    /// Uploads for a model whose artifacts are at that address.
    pub(super) fn new(name: String, caller: Caller, shim: Arc<Shim>, artifacts: String, seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        let (uploads, acknowledged) = (Vec::new(), Vec::new());
        Self { caller, shim, random, name, artifacts, uploads, acknowledged }
    }

    /// Puts one file up, makes something of it, and perhaps deletes that.
    pub(super) async fn step(&mut self) {
        let (bytes, part) = self.choose();
        let sender =
            Sender { caller: &self.caller, shim: &self.shim, artifacts: &self.artifacts, is_strict: false };
        let grant = sender.grant().await;
        let name = format!("{}-{}", self.name, self.uploads.len());
        let mut upload = Upload {
            name,
            bytes,
            part,
            grant,
            begun: None,
            parts: Vec::new(),
            put: None,
            attached: None,
            deleted: None,
        };
        sender.go_on(&mut upload).await;
        if self.random.random_ratio(1, 4) {
            upload.deleted = Some(sender.delete(&upload).await);
        }
        self.acknowledged.extend(upload.steps().filter_map(|step| step.acknowledged));
        self.uploads.push(upload);
    }

    /// Puts a small file up of which nothing is written down, with that failure once it was granted; answers the status.
    pub(super) async fn put_once(&self, failure: &Failure) -> u16 {
        let (caller, shim, artifacts) = (&self.caller, &*self.shim, self.artifacts.as_str());
        let granted = Sender { caller, shim, artifacts, is_strict: false }.grant().await.answer;
        let path = format!("/api/blob?pathname={}", text(&granted["pathname"]));
        let token = text(&granted["client_token"]);
        shim.fail(failure);
        caller.upload(Method::PUT, &path, &token, &[], noise(1_000)).await.expect("a server that answers").0
    }

    /// Bytes that no other file has, and the size of its parts.
    fn choose(&mut self) -> (Vec<u8>, Option<usize>) {
        let (length, part) = match self.uploads.len() % FULL_PARTS {
            1 => (PART + self.random.random_range(1..100_000), Some(PART)),
            at if at % 2 == 1 => {
                let part = self.random.random_range(1_000..150_000);
                (part * 2 + self.random.random_range(1..part), Some(part))
            }
            _ => (self.random.random_range(1..300_000), None),
        };
        let mut bytes = noise(length);
        let mark = self.random.random::<u64>().to_be_bytes();
        bytes.extend_from_slice(&mark);
        (bytes, part)
    }

    /// Takes every upload up again at a server that found the disk as it was at `cut`: from where it was acknowledged
    /// to its end. What is not as it should be, in words.
    pub(super) async fn losses(&self, caller: &Caller, cut: u64) -> Vec<String> {
        let sender = Sender { caller, shim: &self.shim, artifacts: &self.artifacts, is_strict: true };
        let mut losses = Vec::new();
        for upload in &self.uploads {
            let steps = || upload.steps().map(|step| (step.sent, step.acknowledged)).collect::<Vec<_>>();
            let lost = sender.resume(upload, cut).await.err();
            losses.extend(lost.map(|lost| format!("{lost}, sent and acknowledged: {:?}", steps())));
        }
        losses
    }
}

impl Upload {
    fn steps(&self) -> impl Iterator<Item = &Step> {
        let first = std::iter::once(&self.grant).chain(&self.begun).chain(&self.parts);
        first.chain(&self.put).chain(&self.attached).chain(&self.deleted)
    }

    fn chunks(&self) -> Vec<&[u8]> {
        self.bytes.chunks(self.part.unwrap_or(self.bytes.len())).collect()
    }

    /// The request that names all parts.
    fn named(&self) -> Vec<u8> {
        let named = self.chunks().into_iter().zip(1..);
        let named = named.map(|(part, number)| json!({"partNumber": number, "etag": hex(part)}));
        Value::from_iter(named).to_string().into_bytes()
    }

    /// What is left of it when everything from `cut` on is lost.
    fn cut(&self, cut: u64) -> Self {
        let kept = |step: &Option<Step>| step.clone().filter(|step| step.is_acknowledged(cut));
        let parts = self.parts.iter().take_while(|step| step.is_acknowledged(cut)).cloned().collect();
        Self {
            name: self.name.clone(),
            bytes: self.bytes.clone(),
            part: self.part,
            grant: self.grant.clone(),
            begun: kept(&self.begun),
            parts,
            put: kept(&self.put),
            attached: kept(&self.attached),
            deleted: kept(&self.deleted),
        }
    }
}

impl Sender<'_> {
    /// Repeats a request until it succeeds; where nothing may fail, once.
    async fn repeat(
        &self,
        what: &str,
        mut ask: impl AsyncFnMut() -> Option<(u16, Value)>,
    ) -> Result<Step, String> {
        let sent = self.shim.position();
        let asked = until(what, async || {
            let asked = ask().await;
            let acknowledged = Some(self.shim.position());
            match asked {
                Some((status, answer)) if (200..300).contains(&status) => {
                    Some(Ok(Step { sent, acknowledged, answer }))
                }
                Some((status, answer)) if self.is_strict || status < 500 => {
                    Some(Err(format!("{what}: {status} {answer}")))
                }
                _ => {
                    tokio::time::sleep(PAUSE).await;
                    None
                }
            }
        });
        asked.await
    }

    async fn post(&self, path: &str, key: Option<&str>, body: &Value) -> Option<(u16, Value)> {
        let answer: Answer = self.caller.attempt(Method::POST, path, key, Some(body)).await?;
        Some((answer.status, answer.body))
    }

    async fn grant(&self) -> Step {
        let (path, body) = (format!("{}/request-upload", self.artifacts), json!({"file_name": "w.bin"}));
        self.repeat("a grant", async || self.post(&path, None, &body).await).await.unwrap()
    }

    /// Sends bytes with the token of an upload.
    async fn send(
        &self,
        upload: &Upload,
        rest: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Step, String> {
        let (path, token) = (&upload.grant.answer["pathname"], text(&upload.grant.answer["client_token"]));
        let path = format!("/api/blob{rest}?pathname={}", text(path));
        let method = if rest.is_empty() { Method::PUT } else { Method::POST };
        let what = format!("{}: {rest} {headers:?}", upload.name);
        self.repeat(&what, async || {
            self.caller.upload(method.clone(), &path, &token, headers, body.to_vec()).await
        })
        .await
    }

    /// Takes an upload from where it is to its end.
    async fn finish(&self, upload: &mut Upload, is_put_sent: bool) -> Result<(), String> {
        if upload.put.is_none() {
            let put = match upload.part {
                None => self.send(upload, "", &[], &upload.bytes).await?,
                Some(_) => self.put_in_parts(upload, is_put_sent).await?,
            };
            upload.put = Some(put);
        }
        if upload.attached.is_none() {
            let url = upload.put.as_ref().map(|put| put.answer["url"].clone());
            let body =
                json!({"blob_url": url, "file_name": "w.bin", "name": "W", "artifact_type": "weights"});
            let what = format!("{}: an artifact", upload.name);
            let attach = async || self.post(self.artifacts, Some(&upload.name), &body).await;
            upload.attached = Some(self.repeat(&what, attach).await?);
        }
        Ok(())
    }

    async fn put_in_parts(&self, upload: &mut Upload, is_put_sent: bool) -> Result<Step, String> {
        if upload.begun.is_none() {
            upload.begun = Some(self.send(upload, "/mpu", &[("x-mpu-action", "create")], b"").await?);
        }
        let id = text(&upload.begun.as_ref().map_or(Value::Null, |begun| begun.answer["uploadId"].clone()));
        for at in upload.parts.len()..upload.chunks().len() {
            // They may have been put together, though nobody was told: then no part is taken any more.
            if is_put_sent {
                break;
            }
            let number = (at + 1).to_string();
            let headers =
                [("x-mpu-action", "upload"), ("x-mpu-upload-id", &id), ("x-mpu-part-number", &number)];
            let part = self.send(upload, "/mpu", &headers, upload.chunks()[at]).await?;
            upload.parts.push(part);
        }
        let headers = [("x-mpu-action", "complete"), ("x-mpu-upload-id", id.as_str())];
        self.send(upload, "/mpu", &headers, &upload.named()).await
    }

    async fn go_on(&self, upload: &mut Upload) {
        self.finish(upload, false).await.unwrap();
    }

    fn address(&self, upload: &Upload) -> String {
        let made = upload.attached.as_ref().map_or(Value::Null, |made| made.answer["id"].clone());
        format!("{}/{}", self.artifacts, text(&made))
    }

    async fn delete(&self, upload: &Upload) -> Step {
        let path = self.address(upload);
        let delete = async || {
            let answer = self.caller.attempt(Method::DELETE, &path, None, None).await?;
            // The first request may have done it, and its answer was lost.
            Some((if answer.status == 404 { 200 } else { answer.status }, answer.body))
        };
        self.repeat("a deletion", delete).await.unwrap()
    }

    /// Takes up again what was acknowledged of an upload before `cut`, and looks at what comes of it.
    async fn resume(&self, whole: &Upload, cut: u64) -> Result<(), String> {
        if !whole.grant.is_acknowledged(cut) {
            return Ok(());
        }
        let is_sent = |step: &Option<Step>| step.as_ref().is_some_and(|step| step.is_sent(cut));
        let mut upload = whole.cut(cut);
        if is_sent(&whole.deleted) {
            let path = self.address(whole);
            let status = self.caller.attempt(Method::GET, &path, None, None).await.map(|found| found.status);
            return match status {
                Some(404) => Ok(()),
                Some(200) if upload.deleted.is_none() => self.look(&upload).await,
                other => Err(format!("{} was deleted: {other:?}", whole.name)),
            };
        }
        self.finish(&mut upload, is_sent(&whole.put)).await?;
        self.look(&upload).await
    }

    /// Whether the file is the one that was put up.
    async fn look(&self, upload: &Upload) -> Result<(), String> {
        let (path, hash) = (self.address(upload), hex(&upload.bytes));
        let found = until("its hash", async || {
            let found = self.caller.attempt(Method::GET, &path, None, None).await?;
            (found.status != 200 || found.body["sha256"].is_string()).then_some(found)
        })
        .await;
        if found.body["sha256"] != hash.as_str() {
            return Err(format!("{}: {} {}", upload.name, found.status, found.body));
        }
        let address = text(&found.body["blob_url"]);
        let address = address.splitn(4, '/').nth(3).unwrap_or_default();
        let found = self.caller.hash_of(&format!("/{address}")).await;
        if found == hash { Ok(()) } else { Err(format!("{}: {address} has other bytes", upload.name)) }
    }
}
