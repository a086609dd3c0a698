//! Bodies to begin with: the document's own examples, else what is required and nothing else.

use serde_json::{Map, Value, json};

use super::document::{Content, Described, JSON, Schema};

/// Where forms with a file take what goes with it.
const METADATA: &str = "metadata";
/// The file of such forms.
const FILE: &str = "file";

/// A body as text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Example {
    /// Of a form: what goes with the file.
    pub(super) text: String,
    /// Of a form: the file's name.
    pub(super) file: Option<String>,
}

impl Example {
    /// A body of that content type.
    pub(super) fn new(described: &Described, media: &str, content: &Content) -> Self {
        let properties = &described.resolved(&content.schema).properties;
        match (&content.example, properties.get(FILE)) {
            (Some(Value::String(text)), _) => Self { text: text.clone(), file: None },
            (Some(example), _) => Self { text: pretty(example), file: None },
            (None, Some(file)) if media != JSON => Self {
                text: properties.get(METADATA).map(metadata).unwrap_or_default(),
                file: Some(sample(file).as_str().unwrap_or(FILE).to_owned()),
            },
            (None, _) => Self { text: pretty(&required(described, &content.schema)), file: None },
        }
    }
}

/// JSON that is a field's example, as text.
fn metadata(field: &Schema) -> String {
    let text = sample(field);
    let text = text.as_str().unwrap_or_default();
    serde_json::from_str(text).map_or_else(|_| text.to_owned(), |value: Value| pretty(&value))
}

fn pretty(value: &Value) -> String {
    format!("{value:#}")
}

fn required(described: &Described, schema: &Schema) -> Value {
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

    fn example(media: &str, content: Value) -> Example {
        let described: Described = serde_json::from_value(json!({"paths": {}})).unwrap();
        Example::new(&described, media, &serde_json::from_value(content).unwrap())
    }

    #[test]
    fn a_body_is_the_example_or_what_is_required() {
        let mut thing = json!({"schema": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string", "example": "it"}, "size": {"type": "integer"}},
        }});
        assert_eq!(example(JSON, thing.clone()).text, "{\n  \"name\": \"it\"\n}");
        thing["example"] = json!({"size": 2});
        assert_eq!(example(JSON, thing).text, "{\n  \"size\": 2\n}");
        let lines = example("application/x-ndjson", json!({"example": "{}\n{}"}));
        assert_eq!(lines, Example { text: "{}\n{}".to_owned(), file: None });
    }

    #[test]
    fn a_form_has_a_file_and_what_goes_with_it() {
        let form = json!({"schema": {"type": "object", "properties": {
            "file": {"type": "string", "format": "binary", "example": "a.bin"},
            "metadata": {"type": "string", "example": "{\"name\":\"it\"}"},
        }}});
        let expected =
            Example { text: "{\n  \"name\": \"it\"\n}".to_owned(), file: Some("a.bin".to_owned()) };
        assert_eq!(example("multipart/form-data", form), expected);
    }
}
