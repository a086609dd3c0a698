//! A data folder with a small board in it, the real program on it, and ways to damage it.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::Client;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::field::until;

/// Models of the board: enough for a table of several pages.
const MODELS: usize = 60;

/// A data folder.
pub(super) struct Folder {
    folder: tempfile::TempDir,
    key: String,
}

/// A running server, which dies with its owner.
pub(super) struct Server {
    child: Child,
    client: Client,
    base: String,
    key: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Folder {
    /// A folder with models and an eval, whose log is in the database.
    pub(super) async fn with_board() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = program(&["key", "create", "--admin", "--email", "a@example.org"], folder.path());
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        let board = Self { folder, key };
        let server = board.start().await;
        for at in 0..MODELS {
            assert_eq!(server.post_model(&format!("model {at}")).await.0, 201);
        }
        let samples = json!([{"input": "2+2?", "target": "4"}]);
        let eval = json!({"name": "sum", "prompt": "{{input}}", "eval_type": "exact", "samples": samples});
        assert_eq!(server.post("/api/v1/evals", &eval).await.0, 201);
        server.stop().await;
        let database = Connection::open(board.database()).unwrap();
        database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        board
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn database(&self) -> PathBuf {
        self.folder.path().join("evalboard.db")
    }

    /// What `evalboard check` finds.
    pub(super) fn check(&self) -> Result<(), String> {
        let checked = program(&["check"], self.path());
        let found = String::from_utf8_lossy(&checked.stdout).into_owned();
        if checked.status.success() { Ok(()) } else { Err(found) }
    }

    /// A server that answers.
    pub(super) async fn start(&self) -> Server {
        self.try_start().await.unwrap_or_else(|words| panic!("it does not start: {words}"))
    }

    /// A server that answers, or what it wrote before it ended.
    pub(super) async fn try_start(&self) -> Result<Server, String> {
        let address: SocketAddr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let log = tempfile::NamedTempFile::new().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_evalboard"))
            .arg("--data-dir")
            .arg(self.path())
            .args(["--listen", &address.to_string()])
            .args(["--rate-read", "100000", "--rate-read-burst", "100000"])
            .stderr(Stdio::from(log.reopen().unwrap()))
            .spawn()
            .unwrap();
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
        let base = format!("http://{address}");
        let mut server = Server { child, client, base, key: self.key.clone() };
        let has_ended = until("the server to answer or to end", async || {
            if let Some(status) = server.child.try_wait().unwrap() {
                assert!(!status.success());
                return Some(true);
            }
            let asked = server.client.get(format!("{}/healthz", server.base)).send().await;
            asked.is_ok_and(|answer| answer.status() == 200).then_some(false)
        });
        if has_ended.await { Err(std::fs::read_to_string(log.path()).unwrap()) } else { Ok(server) }
    }

    /// What the program says when it refuses to serve the folder.
    pub(super) async fn refusal(&self) -> String {
        self.try_start().await.err().expect("a refusal")
    }
}

impl Server {
    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.client.get(format!("{}{path}", self.base)).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub(super) async fn page(&self, path: &str) -> String {
        let asked = self.client.get(format!("{}{path}", self.base)).header("accept", "text/html");
        asked.send().await.unwrap().text().await.unwrap()
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let sent = self.client.post(format!("{}{path}", self.base)).bearer_auth(&self.key).json(body);
        let answer = sent.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub(super) async fn post_model(&self, name: &str) -> (u16, Value) {
        let notes = "of some length, so that a page holds few of them. ".repeat(8);
        let model = json!({"name": name, "description": notes, "inference_uri": "builtin:echo"});
        self.post("/api/v1/models", &model).await
    }

    /// Stops it as an operator does.
    pub(super) async fn stop(mut self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        until("the server to end", async || self.child.try_wait().unwrap()).await;
    }

    pub(super) async fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn program(arguments: &[&str], folder: &Path) -> std::process::Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_evalboard"));
    program.args(arguments).arg("--data-dir").arg(folder).output().unwrap()
}

/// That the words name both commands that help.
pub(super) fn expect_words(words: &str) {
    assert!(words.contains("evalboard check") && words.contains("evalboard restore"), "{words}");
}

/// That a server has noticed the damage, and says what helps; answers what it found.
pub(super) async fn expect_damaged(server: &Server) -> String {
    let ready = until("readiness to end", async || {
        let (status, ready) = server.get("/readyz").await;
        (status == 503).then_some(ready)
    });
    let ready = ready.await;
    assert_eq!(ready["code"], "damaged", "{ready}");
    expect_words(ready["error"].as_str().unwrap());
    let (status, refused) = server.post_model("another").await;
    assert_eq!((status, &refused["code"]), (503, &json!("damaged")), "{refused}");
    expect_words(refused["error"].as_str().unwrap());
    let (_, status) = server.get("/api/v1/status").await;
    assert_eq!((&status["data"]["status"], &status["data"]["writable"]), (&json!("damaged"), &json!(false)));
    status["data"]["reason"].as_str().unwrap().to_owned()
}

/// The number of a page of a table or an index: the `nth` of that type.
pub(super) fn page_of(database: &Path, name: &str, kind: &str, nth: usize) -> u64 {
    let database = Connection::open(database).unwrap();
    let mut pages = database
        .prepare("SELECT pageno FROM dbstat WHERE name = ?1 AND pagetype = ?2 ORDER BY path")
        .unwrap();
    let pages: Vec<i64> =
        pages.query_map([name, kind], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    u64::try_from(pages[nth]).unwrap()
}

/// An index of a table that was made by name.
pub(super) fn index_of(database: &Path, table: &str) -> String {
    let database = Connection::open(database).unwrap();
    let named = "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = ?1 AND sql IS NOT NULL \
                 AND sql NOT LIKE '%WHERE%' ORDER BY name";
    database.query_row(named, [table], |row| row.get(0)).unwrap()
}

/// Destroys a page of 4 KiB.
pub(super) fn damage(database: &Path, page: u64) {
    overwrite(database, (page - 1) * 4096, 4096);
}

pub(super) fn overwrite(path: &Path, at: u64, length: usize) {
    let file = File::options().write(true).open(path).unwrap();
    file.write_all_at(&vec![0xA5; length], at).unwrap();
}
