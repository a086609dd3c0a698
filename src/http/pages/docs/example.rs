//! A curl line for an operation, with a body of what is required and nothing else.

use serde_json::{Map, Value, json};

use super::document::{Described, Operation, Schema};

/// The command that does `operation`, over as many lines as it takes.
pub(super) fn curl(
    described: &Described,
    public_url: &str,
    path: &str,
    method: &str,
    operation: &Operation,
) -> String {
    let mut parts = vec![match method {
        "get" => format!("curl {public_url}{path}"),
        other => format!("curl -X {} {public_url}{path}", other.to_uppercase()),
    }];
    if operation.needs_key() {
        parts.push("-H \"Authorization: Bearer $KEY\"".to_owned());
    }
    if let Some(schema) = operation.body() {
        parts.push("-H \"Content-Type: application/json\"".to_owned());
        parts.push(format!("-d '{}'", body(described, schema).to_string().replace('\'', r"'\''")));
    }
    parts.join(" \\\n  ")
}

fn body(described: &Described, schema: &Schema) -> Value {
    let fields = described.required(schema).into_iter();
    Value::Object(fields.map(|(name, schema)| (name.to_owned(), sample(schema))).collect::<Map<_, _>>())
}

/// The example that the schema gives, else something of its type.
fn sample(schema: &Schema) -> Value {
    if let Some(example) = schema.example.as_ref().or_else(|| schema.examples.first()) {
        return example.clone();
    }
    match schema.kind().words.as_str() {
        "integer" | "number" => json!(1),
        "boolean" => json!(true),
        "object" => json!({}),
        list if list.starts_with("list of") => json!([]),
        _ => json!("..."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_holds_the_key_and_what_is_required() {
        let described: Described = serde_json::from_value(json!({
            "paths": {"/things": {"post": {
                "security": [{"key": []}],
                "requestBody": {"content": {"application/json": {"schema": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {"name": {"type": "string", "example": "it's"}, "size": {"type": "integer"}},
                }}}},
            }}},
        }))
        .unwrap();
        let operation = described.paths.get("/things").unwrap().get("post").unwrap();
        let command = curl(&described, "https://a.example", "/things", "post", operation);
        let expected = "curl -X POST https://a.example/things \\\n  -H \"Authorization: Bearer $KEY\" \\\n  \
                        -H \"Content-Type: application/json\" \\\n  -d '{\"name\":\"it'\\''s\"}'";
        assert_eq!(command, expected);
    }
}
