//! Starts on a disk that nothing can be written to: what can be read is served, and writes come back by themselves.

use std::io::{BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};

use super::{line, way};
use crate::support::field::until;

/// A disk of 48 MB with a key for an admin; does what each line says, and ends, with the server, when no more come.
const SCRIPT: &str = r#"
mount -t tmpfs -o size=48m tmpfs "$1/disk" || exit 1
"$2" key create --admin --email a@example.org --data-dir "$1/disk" || exit 1
while read -r command; do eval "$command" > "$1/said" 2>&1; echo $?; done
kill -9 $server
"#;
const START: &str = r#""$2" --data-dir "$1/disk" --listen "$3" --rate-write 100000 --rate-write-burst 100000 --rate-read 100000 --rate-read-burst 100000 2>> "$1/log" & server=$!"#;
const STOP: &str = "kill -TERM $server; wait $server";
const KILL: &str = "kill -9 $server; wait $server; true";
/// Takes all that is free, to the last page.
const FILL: &str = r#"dd if=/dev/zero of="$1/disk/fill" bs=4096; true"#;
const FREE: &str = r#"rm "$1/disk/fill""#;

/// A disk, and a server on it now and then.
struct Disk {
    shell: Child,
    said: BufReader<ChildStdout>,
    base: String,
    key: String,
    client: Client,
    /// Writes that were stored although the disk was full.
    small: usize,
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        drop(self.shell.wait());
    }
}

impl Disk {
    fn mount(way: &[&str], outside: &Path) -> Self {
        std::fs::create_dir(outside.join("disk")).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut shell = Command::new(way[0])
            .args(&way[1..])
            .args(["sh", "-c", SCRIPT, "sh"])
            .arg(outside)
            .args([env!("CARGO_BIN_EXE_evalboard"), &address])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(shell.stdout.take().unwrap());
        let key = line(&mut said);
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
        Self { shell, said, base: format!("http://{address}"), key, client, small: 0 }
    }

    /// Has a line of shell done; answers what it ended with.
    fn run(&mut self, command: &str) -> i32 {
        writeln!(self.shell.stdin.as_ref().unwrap(), "{command}").unwrap();
        line(&mut self.said).parse().unwrap()
    }

    async fn start(&mut self) -> Value {
        self.run(START);
        until("an answer", async || {
            let asked = self.client.get(format!("{}/readyz", self.base)).send().await.ok()?;
            (asked.status() == 200).then_some(asked)?.json().await.ok()
        })
        .await
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let asked = self.client.get(format!("{}{path}", self.base)).header("accept", "text/html, */*");
        let answer = asked.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn post_model(&self, name: &str) -> (u16, Value) {
        let model = json!({"name": name, "inference_uri": "builtin:echo"});
        let sent = self.client.post(format!("{}/api/v1/models", self.base)).bearer_auth(&self.key);
        let answer = sent.json(&model).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// That a server which cannot write serves what it can, and says so.
    async fn expect_read_only(&mut self, reason: &str, refusal: (u16, &str)) {
        let ready = self.start().await;
        assert_eq!(ready, json!({"status": "read_only", "writable": false, "reason": reason}));
        let (status, models) = self.get("/api/v1/models").await;
        assert!(status == 200 && models.contains("first"), "{status} {models}");
        let (status, page) = self.get("/evals").await;
        assert!(status == 200 && page.contains("read-only at the moment"), "{status} {page}");
        // The log may have room for a few writes that it took before: those are stored.
        let (status, refused) = loop {
            let (status, answer) = self.post_model("small").await;
            if status != 201 {
                break (status, answer);
            }
            self.small += 1;
        };
        assert_eq!((status, refused["code"].as_str().unwrap()), refusal, "{refused}");
        assert!(refused["error"].as_str().unwrap().contains("nothing was saved"), "{refused}");
    }

    /// That writes are stored again, without a restart.
    async fn expect_writable(&mut self, name: &str) {
        until("a write", async || {
            let (status, answer) = self.post_model(name).await;
            assert!(matches!(status, 201 | 503 | 507), "{status} {answer}");
            (status == 201).then_some(())
        })
        .await;
        let ready = until("readiness", async || {
            let (_, ready) = self.get("/readyz").await;
            ready.contains(r#""writable":true"#).then_some(ready)
        });
        assert!(!ready.await.contains("reason"));
        assert!(!self.get("/evals").await.1.contains("read-only at the moment"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_on_a_full_disk_serves_reads_until_there_is_room() {
    let Some(way) = way() else { return };
    let outside = tempfile::tempdir().unwrap();
    let mut disk = Disk::mount(way, outside.path());
    assert_eq!(disk.start().await, json!({"status": "ok", "writable": true}));
    assert_eq!(disk.post_model("first").await.0, 201);
    for (at, end) in
        [STOP, KILL, "kill -9 $server; wait $server; rm \"$1/disk/evalboard.db-shm\""].into_iter().enumerate()
    {
        disk.run(end);
        if at == 2 {
            // Its log is in the database, so that the file alone will do.
            disk.start().await;
            assert_eq!(disk.run(STOP), 0);
            disk.run("rm -f \"$1/disk/evalboard.db-shm\" \"$1/disk/evalboard.db-wal\"");
        }
        disk.run(FILL);
        disk.expect_read_only("disk_full", (507, "full")).await;
        assert_eq!(disk.run(FREE), 0);
        disk.expect_writable(&format!("again {at}")).await;
    }
    // What was refused is nowhere, and what was taken is there.
    let (_, models) = disk.get("/api/v1/models?limit=200").await;
    let models: Value = serde_json::from_str(&models).unwrap();
    let names = models.as_array().unwrap().iter().map(|model| model["name"].as_str().unwrap());
    let (small, mut names): (Vec<_>, Vec<_>) = names.partition(|name| *name == "small");
    names.sort_unstable();
    assert_eq!((names, small.len()), (vec!["again 0", "again 1", "again 2", "first"], disk.small));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_on_a_read_only_file_system_serves_reads() {
    let Some(way) = way() else { return };
    let outside = tempfile::tempdir().unwrap();
    let mut disk = Disk::mount(way, outside.path());
    disk.start().await;
    assert_eq!(disk.post_model("first").await.0, 201);
    for (at, end) in [STOP, KILL].into_iter().enumerate() {
        disk.run(end);
        assert_eq!(disk.run(r#"mount -o remount,ro "$1/disk""#), 0);
        disk.expect_read_only("not_writable", (503, "read_only")).await;
        assert_eq!(disk.run(r#"mount -o remount,rw "$1/disk""#), 0);
        disk.expect_writable(&format!("again {at}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_is_known_before_a_write_fails() {
    let Some(way) = way() else { return };
    let outside = tempfile::tempdir().unwrap();
    let mut disk = Disk::mount(way, outside.path());
    disk.start().await;
    disk.run(FILL);
    let ready = until("the full disk to be noticed", async || {
        let (status, ready) = disk.get("/readyz").await;
        (status == 200 && ready.contains("disk_full")).then_some(ready)
    });
    assert!(ready.await.contains(r#""writable":false"#));
    assert_eq!(disk.run(FREE), 0);
    disk.expect_writable("first").await;
}

/// A server whose log is on the same disk, as it is by default with some supervisors.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_written_ends_nothing() {
    let Some(way) = way() else { return };
    let outside = tempfile::tempdir().unwrap();
    let mut disk = Disk::mount(way, outside.path());
    disk.start().await;
    disk.run(STOP);
    disk.run(FILL);
    disk.run(r#""$2" --data-dir "$1/disk" --listen "$3" --rate-write 100000 --rate-write-burst 100000 --rate-read 100000 --rate-read-burst 100000 2> /dev/full & server=$!"#);
    until("an answer", async || {
        let asked = disk.client.get(format!("{}/readyz", disk.base)).send().await.ok()?;
        (asked.status() == 200).then_some(())
    })
    .await;
    assert_eq!(disk.post_model("first").await.0, 507);
    assert_eq!(disk.run(FREE), 0);
    disk.expect_writable("first").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_without_room_is_refused_in_words() {
    let Some(way) = way() else { return };
    let outside = tempfile::tempdir().unwrap();
    let old = crate::upgrades::folder(1);
    let mut disk = Disk::mount(way, outside.path());
    disk.run("rm -rf \"$1/disk\"/*");
    let copied = disk.run(&format!("cp '{}' \"$1/disk/\"", old.path().join("evalboard.db").display()));
    assert_eq!(copied, 0);
    disk.run(FILL);
    let sum = r#"sha256sum < "$1/disk/evalboard.db" > "$1/sum"#;
    disk.run(&format!("{sum}.before\""));
    assert_eq!(disk.run(r#""$2" --data-dir "$1/disk" --listen "$3" --rate-write 100000 --rate-write-burst 100000 --rate-read 100000 --rate-read-burst 100000 2> "$1/words""#), 1);
    disk.run(&format!("{sum}.after\""));
    let read = |name: &str| std::fs::read_to_string(outside.path().join(name)).unwrap();
    let words = read("words");
    assert!(words.contains("has to be brought up to date") && words.contains("free about"), "{words}");
    assert_eq!(read("sum.before"), read("sum.after"));
    assert_eq!(disk.run(FREE), 0);
    assert_eq!(disk.start().await["writable"], true);
}
