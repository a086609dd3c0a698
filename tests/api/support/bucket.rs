//! A bucket of a real server that speaks S3 and checks signatures.

use std::collections::HashSet;
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::field::until;
use super::wire::Wire;
use super::{Board, QUICK};

/// The part of the bucket that a board has for itself.
pub(crate) const BUCKET: &str = "s3://files/board/one";

/// A bucket, which goes with its server.
pub(crate) struct Bucket {
    server: Child,
    folder: TempDir,
    port: u16,
}

impl Drop for Bucket {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

impl Bucket {
    /// Starts the server that EVALBOARD_S3 names; without one this says that the test is skipped.
    pub(crate) async fn start() -> Option<Self> {
        let Some(program) = std::env::var_os("EVALBOARD_S3") else {
            println!("skipped: files in a bucket (`make unit` installs an S3 server for them)");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("files")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Command::new(program)
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .args(["--access-key", "AKIATEST", "--secret-key", "secret"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until("the bucket", async || TcpStream::connect(("127.0.0.1", port)).ok()).await;
        Some(Self { server, folder, port })
    }

    /// What the environment of a server says of it.
    pub(crate) fn variables(&self, secret: &str) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ACCESS_KEY_ID", "AKIATEST".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", secret.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port)),
        ]
    }

    /// An address at which the bucket does what it was asked even if the caller is gone by then: a server of S3 at large
    /// never leaves a file half put together, and this one would.
    pub(crate) async fn steadfast(&self) -> Wire {
        let port = self.port;
        Wire::start(move |caller| async move {
            let Ok(bucket) = tokio::net::TcpStream::connect(("127.0.0.1", port)).await else { return };
            let ((mut asked, mut told), (mut answer, mut request)) =
                (caller.into_split(), bucket.into_split());
            tokio::spawn(async move {
                // However it ended, what was begun goes on.
                let _ended = tokio::io::copy(&mut asked, &mut request).await;
                tokio::time::sleep(Duration::from_secs(5)).await;
                drop(request);
            });
            let _ended = tokio::io::copy(&mut answer, &mut told).await;
        })
        .await
    }

    fn objects_folder(&self) -> PathBuf {
        self.folder.path().join("files/board/one")
    }

    /// Paths of the board's objects, as its rows have them.
    pub(crate) fn objects(&self) -> HashSet<String> {
        // There is no folder before the first object.
        let found = evalboard::blobs::list(&self.objects_folder()).unwrap_or_default();
        found.into_iter().map(|path| format!("s3:{path}")).collect()
    }

    /// Puts an object there that nobody knows of.
    pub(crate) fn stray(&self) {
        std::fs::create_dir_all(self.objects_folder().join("ab")).unwrap();
        std::fs::write(self.objects_folder().join("ab/stray"), b"x").unwrap();
    }

    /// Makes all objects look a day old.
    pub(crate) fn age(&self) {
        for path in self.objects() {
            let path = self.objects_folder().join(path.trim_start_matches("s3:"));
            let file = File::options().write(true).open(path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_hours(25)).unwrap();
        }
    }
}

impl Board {
    /// A board whose files go to the bucket, with that secret.
    pub(crate) async fn over(bucket: &Bucket, secret: &str) -> Self {
        let variables = bucket.variables(secret).into_iter().map(|(name, value)| (name.to_owned(), value));
        Self::operated(&["--blob-store", BUCKET], variables.collect(), QUICK).await
    }
}
