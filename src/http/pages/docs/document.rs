//! The OpenAPI document as far as the reference shows it, read back from its JSON.
//!
//! What is not shown is not read.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// Where references to schemas lead.
const SCHEMAS: &str = "#/components/schemas/";
/// The one type of body that is described.
const JSON: &str = "application/json";

/// The document.
#[derive(Debug, Deserialize)]
pub(super) struct Described {
    /// Operations by path and method.
    pub(super) paths: BTreeMap<String, BTreeMap<String, Operation>>,
    #[serde(default)]
    pub(super) components: Components,
}

/// What operations refer to by name.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Components {
    #[serde(default)]
    pub(super) schemas: BTreeMap<String, Schema>,
}

/// What one method does at one path.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Operation {
    #[serde(default)]
    pub(super) tags: Vec<String>,
    pub(super) summary: Option<String>,
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) parameters: Vec<Parameter>,
    request_body: Option<Body>,
    #[serde(default)]
    responses: BTreeMap<String, Body>,
    #[serde(default)]
    security: Vec<Value>,
}

/// A variable part of a path, or a query parameter.
#[derive(Debug, Deserialize)]
pub(super) struct Parameter {
    pub(super) name: String,
    #[serde(rename = "in")]
    place: String,
    #[serde(default)]
    required: bool,
    description: Option<String>,
    #[serde(default)]
    schema: Schema,
}

/// A request's or a response's body.
#[derive(Debug, Deserialize)]
struct Body {
    #[serde(default)]
    content: BTreeMap<String, Content>,
}

#[derive(Debug, Deserialize)]
struct Content {
    schema: Option<Schema>,
}

/// The shape of a value.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Schema {
    #[serde(rename = "$ref")]
    reference: Option<String>,
    #[serde(rename = "type")]
    types: Option<Types>,
    items: Option<Box<Self>>,
    #[serde(default)]
    properties: BTreeMap<String, Self>,
    #[serde(default)]
    required: Vec<String>,
    #[serde(default)]
    all_of: Vec<Self>,
    #[serde(default)]
    one_of: Vec<Self>,
    #[serde(default, rename = "enum")]
    words: Vec<Value>,
    pub(super) description: Option<String>,
    pub(super) example: Option<Value>,
    #[serde(default)]
    pub(super) examples: Vec<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Types {
    One(String),
    Several(Vec<String>),
}

/// A field or a parameter as the reference shows it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// What stands beside the kind, such as `required`.
    pub(super) notes: Vec<String>,
    pub(super) description: String,
}

/// A type in words, and the named schema in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) words: String,
    pub(super) shape: Option<String>,
}

impl Operation {
    /// Whether it takes a key.
    pub(super) fn needs_key(&self) -> bool {
        !self.security.is_empty()
    }

    /// The schema of the JSON body it takes.
    pub(super) fn body(&self) -> Option<&Schema> {
        self.request_body.as_ref()?.schema()
    }

    /// The schema of the JSON it answers when all went well.
    pub(super) fn answer(&self) -> Option<&Schema> {
        let well = self.responses.iter().find(|(status, _)| status.starts_with('2'));
        well.and_then(|(_, body)| body.schema())
    }
}

impl Body {
    fn schema(&self) -> Option<&Schema> {
        self.content.get(JSON)?.schema.as_ref()
    }
}

impl Schema {
    /// Its type in words.
    pub(super) fn kind(&self) -> Kind {
        if let Some(name) = self.reference.as_deref().and_then(|path| path.strip_prefix(SCHEMAS)) {
            return Kind { words: name.to_owned(), shape: Some(name.to_owned()) };
        }
        if let Some(items) = &self.items {
            let of = items.kind();
            return Kind { words: format!("list of {}", of.words), shape: of.shape };
        }
        let either = self.one_of.iter().chain(&self.all_of);
        match either.map(Self::kind).find(|kind| kind.words != "null") {
            Some(kind) => kind,
            None => Kind { words: self.type_words(), shape: None },
        }
    }

    fn type_words(&self) -> String {
        if !self.words.is_empty() {
            return self.words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
        }
        match &self.types {
            None => "any".to_owned(),
            Some(Types::One(word)) => word.clone(),
            Some(Types::Several(words)) => {
                words.iter().filter(|word| *word != "null").cloned().collect::<Vec<_>>().join(" or ")
            }
        }
    }

    fn is_nullable(&self) -> bool {
        matches!(&self.types, Some(Types::Several(words)) if words.iter().any(|word| word == "null"))
            || matches!(&self.types, Some(Types::One(word)) if word == "null")
            || self.one_of.iter().any(Self::is_nullable)
    }
}

impl Described {
    /// The fields of an object, whatever it refers to or is put together from.
    pub(super) fn fields(&self, schema: &Schema) -> Vec<Field> {
        let schema = self.resolved(schema);
        let own = schema.properties.iter().map(|(name, property)| {
            let notes = [
                (schema.required.contains(name), "required"),
                (property.is_nullable() && schema.required.contains(name), "may be null"),
            ];
            self.field(name, property, &notes)
        });
        own.chain(schema.all_of.iter().flat_map(|part| self.fields(part))).collect()
    }

    /// The names and schemas of the fields that an object must have.
    pub(super) fn required<'s>(&'s self, schema: &'s Schema) -> Vec<(&'s str, &'s Schema)> {
        let schema = self.resolved(schema);
        let own = schema.properties.iter().filter(|(name, _)| schema.required.contains(name));
        let own = own.map(|(name, property)| (name.as_str(), self.resolved(property)));
        own.chain(schema.all_of.iter().flat_map(|part| self.required(part))).collect()
    }

    /// A parameter as a field.
    pub(super) fn parameter(&self, parameter: &Parameter) -> Field {
        let notes = [(parameter.place == "query", "in the query"), (parameter.required, "required")];
        let field = self.field(&parameter.name, &parameter.schema, &notes);
        Field { description: parameter.description.clone().unwrap_or(field.description), ..field }
    }

    fn field(&self, name: &str, schema: &Schema, notes: &[(bool, &str)]) -> Field {
        let description = schema.description.as_ref().or_else(|| self.resolved(schema).description.as_ref());
        Field {
            name: name.to_owned(),
            kind: schema.kind(),
            notes: notes.iter().filter(|(holds, _)| *holds).map(|(_, note)| (*note).to_owned()).collect(),
            description: description.cloned().unwrap_or_default(),
        }
    }

    /// What a reference leads to; anything else is itself.
    fn resolved<'s>(&'s self, schema: &'s Schema) -> &'s Schema {
        let name = schema.reference.as_deref().and_then(|path| path.strip_prefix(SCHEMAS));
        name.and_then(|name| self.components.schemas.get(name)).unwrap_or(schema)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_found_through_references_and_parts() {
        let described: Described = serde_json::from_value(json!({
            "paths": {},
            "components": {"schemas": {
                "Base": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "description": "A name."}}},
                "New": {"allOf": [
                    {"$ref": "#/components/schemas/Base"},
                    {"type": "object", "properties": {
                        "tags": {"type": ["array", "null"], "items": {"type": "string"}},
                        "base": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Base"}]},
                    }},
                ]},
            }},
        }))
        .unwrap();
        let schema: Schema = serde_json::from_value(json!({"$ref": "#/components/schemas/New"})).unwrap();
        let fields = described.fields(&schema);
        let seen: Vec<(&str, &str)> =
            fields.iter().map(|field| (field.name.as_str(), field.kind.words.as_str())).collect();
        assert_eq!(seen, [("name", "string"), ("base", "Base"), ("tags", "list of string")]);
        assert_eq!(fields.first().unwrap().notes, ["required"]);
        assert_eq!(described.required(&schema).len(), 1);
    }
}
