//! The real program over a data folder that outlives it: started, frozen, killed.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use evalboard::domain::api_keys::ApiKey;
use reqwest::{Client, Method};
use serde_json::Value;

use super::PATIENCE;
use super::field::until;
use super::provider::Provider;

/// What the server writes to its log when it refuses a late case.
const LATE: &str = "a late case was refused";

/// A data folder with what serves it, at an address that stays the same.
pub(crate) struct Site {
    folder: tempfile::TempDir,
    address: SocketAddr,
    egress: String,
    /// Variables of its servers besides.
    variables: Vec<(&'static str, String)>,
}

/// A running server, which dies with its owner: at once, without a word.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Running {
    /// Stops every thread of the server where it stands, and lets it go on after that long.
    pub(crate) async fn freeze(&self, pause: Duration) {
        self.signal("-STOP");
        tokio::time::sleep(pause).await;
        self.signal("-CONT");
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    /// The most memory that the server ever held, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.figure("VmHWM:")
    }

    /// The memory that the server holds, in KiB.
    pub(crate) fn memory(&self) -> u64 {
        self.figure("VmRSS:")
    }

    fn figure(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let figure = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        figure.trim().trim_end_matches(" kB").parse().unwrap()
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success(), "kill {name}");
    }
}

impl Site {
    pub(crate) fn new(provider: &Provider) -> Self {
        Self::allowing(provider, "")
    }

    /// A site that may call these addresses as well.
    pub(crate) fn allowing(provider: &Provider, others: &str) -> Self {
        Self::operated(provider, others, &[])
    }

    /// The same, whose operator has set these variables.
    pub(crate) fn operated(provider: &Provider, others: &str, variables: &[(&'static str, &str)]) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let anthropic = ("EVALBOARD_PROVIDER_ANTHROPIC_BASE_URL", provider.anthropic_base_url());
        let others_set = variables.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let variables = std::iter::once(anthropic).chain(others_set).collect();
        Self {
            folder: tempfile::tempdir().unwrap(),
            address,
            egress: format!("{},{others}", provider.address),
            variables,
        }
    }

    /// A site over a folder that somebody else filled, with these variables.
    pub(crate) fn over(
        folder: tempfile::TempDir,
        provider: &Provider,
        variables: &[(&'static str, String)],
    ) -> Self {
        let site = Self { folder, ..Self::new(provider) };
        site.with_variables(variables)
    }

    /// The same, whose operator has set these variables as well.
    pub(crate) fn with_variables(mut self, variables: &[(&'static str, String)]) -> Self {
        self.variables.extend_from_slice(variables);
        self
    }

    /// The files that are there, unfinished ones included, below the folder of files.
    pub(crate) fn files(&self) -> std::collections::HashSet<String> {
        evalboard::blobs::list(&self.folder.path().join("files")).unwrap().into_iter().collect()
    }

    /// Makes every file look as if nobody had written to it for a day.
    pub(crate) fn age_files(&self) {
        let long_ago = std::time::SystemTime::now() - Duration::from_hours(25);
        for file in self.files() {
            let path = self.folder.path().join("files").join(file);
            File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
        }
    }

    /// What `evalboard check` finds wrong, if anything.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut check = Command::new(env!("CARGO_BIN_EXE_evalboard"));
        let checked = check.args(["check", "--data-dir"]).arg(self.folder.path()).output().unwrap();
        if checked.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&checked.stdout).into_owned())
        }
    }

    /// A process that may still be opening its folder.
    pub(crate) fn spawn(&self) -> Running {
        self.spawn_by(Command::new(env!("CARGO_BIN_EXE_evalboard")))
    }

    /// The same, started by that command, which takes the arguments of the program.
    pub(crate) fn spawn_by(&self, mut command: Command) -> Running {
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        let server = command
            .arg("--data-dir")
            .arg(self.folder.path())
            .args(["--rate-read", "100000", "--rate-read-burst", "100000"])
            .args(["--rate-write", "100000", "--rate-write-burst", "100000"])
            .args(["--listen", &self.address.to_string()])
            .env("EVALBOARD_EGRESS_ALLOW", &self.egress)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        Running(server)
    }

    /// A server that answers.
    pub(crate) async fn start(&self) -> Running {
        let running = self.spawn();
        self.ready().await;
        running
    }

    /// A server that answers, or what it wrote before it ended by itself.
    pub(crate) async fn try_start(&self) -> Result<Running, String> {
        let mut running = self.spawn();
        let ended = until("the server to end", async || running.has_ended().then_some(()));
        tokio::select! {
            () = self.ready() => {}
            () = ended => return Err(std::fs::read_to_string(self.log()).unwrap()),
        }
        Ok(running)
    }

    /// Waits until its server is ready.
    pub(crate) async fn ready(&self) {
        let url = format!("http://{}/readyz", self.address);
        let client = client();
        until("the server to be ready", async || {
            client.get(&url).send().await.ok().filter(|answer| answer.status() == 200)
        })
        .await;
    }

    pub(crate) fn caller(&self) -> Caller {
        let key = self.make_key(&["--admin", "--email", "admin@example.org"]);
        Caller { client: client(), base: format!("http://{}", self.address), key }
    }

    /// A client with a new key of that member.
    pub(crate) fn member(&self, email: &str) -> super::Client {
        let key = ApiKey::parse(&self.make_key(&["--email", email])).unwrap();
        super::Client::new(self.address, Some(&key))
    }

    /// A client with a new key of an admin.
    pub(crate) fn admin(&self) -> super::Client {
        let key = ApiKey::parse(&self.make_key(&["--admin", "--email", "admin@example.org"])).unwrap();
        super::Client::new(self.address, Some(&key))
    }

    fn make_key(&self, whose: &[&str]) -> String {
        let made = Command::new(env!("CARGO_BIN_EXE_evalboard"))
            .args(["key", "create"])
            .args(whose)
            .arg("--data-dir")
            .arg(self.folder.path())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8(made.stdout).unwrap().trim_end().to_owned()
    }

    /// Where it is served.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its data are, with the log of its servers.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("evalboard.db")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    /// How often any of the servers refused a late case.
    pub(crate) fn late_cases(&self) -> usize {
        std::fs::read_to_string(self.log()).unwrap().matches(LATE).count()
    }

    /// Lines in which any of the servers told of a failure of its own.
    pub(crate) fn errors(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.log()).unwrap();
        let is_bad = |line: &&str| line.contains(" ERROR ") || line.contains("panicked");
        log.lines().filter(is_bad).map(str::to_owned).collect()
    }
}

/// A folder that somebody else filled, served by the real program.
pub(crate) struct Served {
    pub(crate) folder: tempfile::TempDir,
    base: String,
    running: Running,
}

impl Served {
    /// Serves it once it is ready.
    pub(crate) async fn start(folder: tempfile::TempDir) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let running = Self::spawn(folder.path(), address);
        let base = format!("http://{address}");
        let (client, url) = (client(), format!("{base}/readyz"));
        let ready = until("the server to be ready", async || {
            client.get(&url).send().await.ok().filter(|answer| answer.status() == 200)
        });
        if tokio::time::timeout(PATIENCE, ready).await.is_err() {
            panic!("not ready: {}", std::fs::read_to_string(folder.path().join("server.log")).unwrap());
        }
        Self { folder, base, running }
    }

    /// A process that may still be opening the folder.
    pub(crate) fn spawn(folder: &Path, address: SocketAddr) -> Running {
        let log = File::options().create(true).append(true).open(folder.join("server.log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_evalboard"));
        command.arg("--data-dir").arg(folder).args(["--listen", &address.to_string()]);
        Running(command.stderr(Stdio::from(log)).spawn().unwrap())
    }

    /// Where it is.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Kills the server; answers the folder as it is left.
    pub(crate) fn stop(self) -> tempfile::TempDir {
        drop(self.running);
        self.folder
    }

    /// What an anonymous caller reads there.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = client().get(format!("{}{path}", self.base)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }
}

fn client() -> Client {
    Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap()
}

/// A caller that lives through the server's deaths.
#[derive(Clone)]
pub(crate) struct Caller {
    client: Client,
    base: String,
    key: String,
}

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    /// Rows in the whole list, when it is one.
    pub(crate) total: Option<usize>,
}

impl Caller {
    /// The same caller, of another site that knows its key.
    pub(crate) fn moved_to(&self, site: &Site) -> Self {
        Self { base: format!("http://{}", site.address), ..self.clone() }
    }

    /// The answer, if the server lived long enough to give the whole of it. No answer may tell of a fault of
    /// the server's own.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        once: Option<&str>,
        body: Option<&Value>,
    ) -> Option<Answer> {
        let answer = self.attempt(method, path, once, body).await?;
        assert!(answer.status < 500, "{path}: {} {}", answer.status, answer.body);
        Some(answer)
    }

    /// The answer, if one came, whatever it is.
    pub(crate) async fn attempt(
        &self,
        method: Method,
        path: &str,
        once: Option<&str>,
        body: Option<&Value>,
    ) -> Option<Answer> {
        let mut request = self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.key);
        if let Some(key) = once {
            request = request.header("idempotency-key", key);
        }
        // Lines for the only address that takes a list, JSON for all others.
        request = match body {
            Some(Value::Array(rows)) => {
                let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
                request.header("content-type", "application/x-ndjson").body(lines.join("\n"))
            }
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        let total = answer.headers().get("x-total-count").and_then(|total| total.to_str().ok()?.parse().ok());
        let text = answer.text().await.ok()?;
        Some(Answer { status, body: serde_json::from_str(&text).unwrap_or_default(), total })
    }

    /// Sends bytes with the token of an upload and these headers; status and JSON, if they came.
    pub(crate) async fn upload(
        &self,
        method: Method,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Option<(u16, Value)> {
        let request = self.client.request(method, format!("{}{path}", self.base)).bearer_auth(token);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = request.body(body).send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, serde_json::from_slice(&answer.bytes().await.ok()?).ok()?))
    }

    /// The SHA-256 of what is at `path`, in hexadecimal.
    pub(crate) async fn hash_of(&self, path: &str) -> String {
        let got = self.client.get(format!("{}{path}", self.base)).send().await.unwrap();
        assert_eq!(got.status(), 200, "{path}");
        super::grants::hex(&got.bytes().await.unwrap())
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.ask(Method::POST, path, None, Some(body)).await.expect("a server that answers");
        assert!((200..300).contains(&answer.status), "{path}: {} {}", answer.status, answer.body);
        answer.body
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None, None).await.expect("a server that answers")
    }
}
