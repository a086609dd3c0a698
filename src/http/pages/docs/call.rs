//! One request that an operation takes: what the page's script needs to send it, and the curl line that does.
//!
//! The script writes the same line anew as its fields are filled in (`static/docs.mjs`); a browser test holds
//! one to the other. Neither ever holds a key.

use serde::Serialize;

use super::document::{Described, Operation, Parameter};
use super::example::Example;

/// A request.
#[derive(Debug, Serialize)]
pub(super) struct Call {
    method: String,
    path: String,
    needs_key: bool,
    inputs: Vec<Input>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Sent>,
}

/// A part of the address that varies.
#[derive(Debug, Serialize)]
struct Input {
    name: String,
    /// `path` or `query`.
    place: String,
    kind: String,
}

/// The body.
#[derive(Debug, Serialize)]
struct Sent {
    media: String,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

impl Call {
    /// The requests that do `operation`: one for each type of body that it takes.
    pub(super) fn all(described: &Described, path: &str, method: &str, operation: &Operation) -> Vec<Self> {
        let call = |body| Self {
            method: method.to_uppercase(),
            path: path.to_owned(),
            needs_key: operation.needs_key(),
            inputs: operation.parameters.iter().map(Input::new).collect(),
            body,
        };
        let bodies = operation.bodies().map(|(media, content)| {
            let Example { text, file } = Example::new(described, media, content);
            call(Some(Sent { media: media.to_owned(), text, file }))
        });
        let calls: Vec<Self> = bodies.collect();
        if calls.is_empty() { vec![call(None)] } else { calls }
    }

    /// Whether a file goes along.
    pub(super) fn has_file(&self) -> bool {
        self.body.as_ref().is_some_and(|body| body.file.is_some())
    }

    /// The command, over as many lines as it takes.
    pub(super) fn curl(&self, public_url: &str) -> String {
        let mut parts = vec![match self.method.as_str() {
            "GET" => format!("curl {public_url}{}", self.path),
            other => format!("curl -X {other} {public_url}{}", self.path),
        }];
        if self.needs_key {
            parts.push("-H \"Authorization: Bearer $KEY\"".to_owned());
        }
        parts.extend(self.body.iter().flat_map(Sent::curl));
        parts.join(" \\\n  ")
    }
}

impl Input {
    fn new(parameter: &Parameter) -> Self {
        Self {
            name: parameter.name.clone(),
            place: parameter.place.clone(),
            kind: parameter.schema.kind().words,
        }
    }
}

impl Sent {
    fn curl(&self) -> Vec<String> {
        if let Some(file) = &self.file {
            // Not -F, for which some characters of a value mean more than themselves.
            let metadata = quoted(&format!("metadata={}", self.text));
            return vec![format!("--form-string {metadata}"), format!("-F file=@{file}")];
        }
        // What is likely to become the name of a file must keep its line ends.
        let flag = if self.media.ends_with("ndjson") { "--data-binary" } else { "-d" };
        vec![format!("-H \"Content-Type: {}\"", self.media), format!("{flag} {}", quoted(&self.text))]
    }
}

/// As one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_command_names_the_key_and_quotes_the_body() {
        let described: Described = serde_json::from_value(json!({"paths": {"/things": {"post": {
            "security": [{"key": []}],
            "requestBody": {"content": {"application/json": {"example": {"name": "it's"}}}},
        }}}}))
        .unwrap();
        let operation = described.paths.get("/things").unwrap().get("post").unwrap();
        let calls = Call::all(&described, "/things", "post", operation);
        let commands: Vec<String> = calls.iter().map(|call| call.curl("https://a.example")).collect();
        let expected = "curl -X POST https://a.example/things \\\n  -H \"Authorization: Bearer $KEY\" \\\n  \
                        -H \"Content-Type: application/json\" \\\n  -d '{\n  \"name\": \"it'\\''s\"\n}'";
        assert_eq!(commands, [expected]);
    }
}
