//! What the tests of this folder share: questions, a guard that allows the loopback address, and a provider
//! that says what it is told to say.

use std::{sync::mpsc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{Call, Operator, Providers};
use crate::{
    domain::{
        parameters::Parameters,
        samples::{Message, Role},
    },
    egress::{Allow, Guard, Timeouts},
};

pub(super) fn message(role: Role, content: &str) -> Message {
    Message { role, content: content.to_owned() }
}

pub(super) fn call(messages: &[(Role, &str)]) -> Call {
    Call {
        messages: messages.iter().map(|(role, content)| message(*role, content)).collect(),
        parameters: Parameters::default(),
        timeout: Duration::from_secs(10),
        schema: None,
    }
}

pub(super) fn providers(variables: &[(&str, &str)]) -> Providers {
    try_providers(variables).unwrap()
}

pub(super) fn try_providers(variables: &[(&str, &str)]) -> crate::error::Result<Providers> {
    let pairs = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Providers::new(guard(), Operator::from_pairs(pairs))
}

pub(super) fn guard() -> Guard {
    let allow: Allow = "127.0.0.0/8".parse().unwrap();
    Guard::new(allow, Timeouts::default()).unwrap()
}

/// A server on the loopback address that answers every connection with the same bytes.
pub(super) struct Server {
    pub(super) address: String,
    requests: mpsc::Receiver<String>,
}

impl Server {
    /// Answers with exactly `answer`, then closes.
    pub(super) async fn raw(answer: Vec<u8>) -> Self {
        Self::in_turn(vec![answer]).await
    }

    /// Answers each connection with the next of these, and all further ones with the last.
    pub(super) async fn in_turn(answers: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, requests) = mpsc::channel();
        tokio::spawn(async move {
            let (mut answers, mut answer) = (answers.into_iter(), Vec::new());
            while let Ok((mut stream, _)) = listener.accept().await {
                answer = answers.next().unwrap_or(answer);
                let request = read_request(&mut stream).await;
                let _ = sender.send(request);
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { address, requests }
    }

    /// Answers with `status`, further header lines (each ending in CRLF) and `body`.
    pub(super) async fn answering(status: u16, headers: &str, body: &str) -> Self {
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n");
        Self::raw(format!("{head}{body}").into_bytes()).await
    }

    /// Accepts and never answers.
    pub(super) async fn silent() -> (String, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        (listener.local_addr().unwrap().to_string(), listener)
    }

    /// The oldest request that nobody looked at: head and body.
    pub(super) fn request(&self) -> (String, serde_json::Value) {
        let request = self.requests.recv_timeout(Duration::from_secs(10)).unwrap();
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), serde_json::from_str(body).unwrap())
    }
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => request.extend_from_slice(&buffer[..read]),
            _ => return text,
        }
    }
}
