//! Uploads as their holders make them.

use std::io::Write;
use std::net::TcpStream;

use evalboard::store::Tx;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::forms::local;
use super::{Asking, Board, Client, Reply};

/// Bytes of a part as the client of Vercel Blob sends it.
pub(crate) const PART: usize = 8 * 1024 * 1024;

/// Bytes that look the same nowhere.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    (0..u32::try_from(length).unwrap()).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
}

/// SHA-256 in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a request for an upload answered, and who sends the file: anybody who has it.
#[derive(Clone)]
pub(crate) struct Granted {
    client: Client,
    pub(crate) token: String,
    pub(crate) pathname: String,
    pub(crate) answer: Value,
}

impl Granted {
    /// Asks for an upload at that address.
    pub(crate) async fn ask(board: &Board, path: &str, body: &Value) -> Self {
        let reply = board.member.post(&format!("{path}/request-upload"), body).await;
        assert_eq!(reply.code(), 200, "{}", reply.text());
        let answer = reply.json();
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        Self {
            client: board.anonymous.clone(),
            token: text("client_token"),
            pathname: text("pathname"),
            answer,
        }
    }

    /// The upload of a file for a new model of the member, and where its artifacts are.
    pub(crate) async fn weights(board: &Board) -> (Self, String) {
        let path = format!("/api/v1/models/{}/artifacts", board.house.model("member@example.org").await);
        (Self::ask(board, &path, &json!({"file_name": "weights.bin"})).await, path)
    }

    /// A request to an address below `/api/blob`, with the token.
    pub(crate) fn asking(&self, method: Method, rest: &str) -> Asking {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let query = query.append_pair("pathname", &self.pathname).finish();
        self.client
            .ask(method, &format!("/api/blob{rest}?{query}"))
            .header("authorization", &format!("Bearer {}", self.token))
    }

    /// Where the file is to be put.
    pub(crate) fn address(&self) -> String {
        local(&self.answer["upload_url"])
    }

    /// Sends the whole file.
    pub(crate) async fn put(&self, bytes: impl Into<reqwest::Body>) -> Reply {
        self.asking(Method::PUT, "").body(bytes).send().await
    }

    /// Begins a file in parts; answers its id.
    pub(crate) async fn create(&self) -> String {
        let begun = self.asking(Method::POST, "/mpu").header("x-mpu-action", "create").send().await;
        assert_eq!(begun.code(), 200, "{}", begun.text());
        assert_eq!(begun.json()["key"], self.pathname.as_str());
        begun.json()["uploadId"].as_str().unwrap().to_owned()
    }

    /// A request to send a part.
    pub(crate) fn asking_part(&self, id: &str, number: &str) -> Asking {
        self.asking(Method::POST, "/mpu")
            .header("x-mpu-action", "upload")
            .header("x-mpu-upload-id", id)
            .header("x-mpu-part-number", number)
    }

    /// Sends a part.
    pub(crate) async fn part(&self, id: &str, number: &str, bytes: impl Into<reqwest::Body>) -> Reply {
        self.asking_part(id, number).body(bytes).send().await
    }

    /// Sends the first half of a part, and hangs up.
    pub(crate) fn break_off(&self, board: &Board, id: &str, number: u32) {
        let mut connection = TcpStream::connect(board.address).unwrap();
        let path = self.address().replace("/api/blob?", "/api/blob/mpu?");
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: {PART}\r\n\
             x-mpu-action: upload\r\nx-mpu-upload-id: {id}\r\nx-mpu-part-number: {number}\r\n\r\n",
            self.token
        );
        connection.write_all(head.as_bytes()).unwrap();
        connection.write_all(&vec![7; PART / 2]).unwrap();
    }

    /// Has parts put together: pairs of number and tag.
    pub(crate) async fn complete(&self, id: &str, parts: &[(u32, &str)]) -> Reply {
        let named = |(number, etag): &(u32, &str)| json!({"partNumber": number, "etag": etag});
        self.asking(Method::POST, "/mpu")
            .header("x-mpu-action", "complete")
            .header("x-mpu-upload-id", id)
            .json(&Value::Array(parts.iter().map(named).collect()))
            .send()
            .await
    }

    /// Sets a moment of the upload back or forth, as if time had passed.
    pub(crate) async fn shift(&self, board: &Board, column: &'static str, milliseconds: i64) {
        let pathname = self.pathname.clone();
        let shift = move |tx: &mut Tx<'_>| {
            let sql = format!("UPDATE uploads SET {column} = {column} + ?2 WHERE pathname = ?1");
            tx.execute(&sql, evalboard::values![&pathname, milliseconds])
        };
        assert_eq!(board.house.app.store.write(shift).await.unwrap(), 1);
    }
}

/// What is to be made of a file that was put up.
pub(crate) fn artifact(url: &Value) -> Value {
    json!({"blob_url": url, "file_name": "weights.bin", "name": "Weights", "artifact_type": "weights"})
}

/// Checks an error in both forms: our code, and the client's with its message.
pub(crate) fn assert_blob_error(reply: &Reply, status: u16, code: &str, words: &str) {
    let error = &reply.json()["error"];
    assert_eq!((reply.code(), error["code"].as_str()), (status, Some(code)), "{}", reply.text());
    assert!(error["message"].as_str().unwrap().contains(words), "{words}: {}", reply.text());
}
