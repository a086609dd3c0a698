//! The OpenAPI document as far as the reference shows it, read back from its JSON.
//!
//! What is not shown is not read.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// Where references to schemas lead.
const SCHEMAS: &str = "#/components/schemas/";
/// The type of body that has fields of its own.
pub(super) const JSON: &str = "application/json";

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
    pub(super) request_body: Option<Body>,
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
    pub(super) place: String,
    #[serde(default)]
    pub(super) required: bool,
    description: Option<String>,
    #[serde(default)]
    pub(super) schema: Schema,
}

/// A request's or a response's body.
#[derive(Debug, Deserialize)]
pub(super) struct Body {
    pub(super) description: Option<String>,
    /// What it may be, by content type.
    #[serde(default)]
    pub(super) content: BTreeMap<String, Content>,
}

/// A body of one content type.
#[derive(Debug, Deserialize)]
pub(super) struct Content {
    #[serde(default)]
    pub(super) schema: Schema,
    pub(super) example: Option<Value>,
}

/// The shape of a value.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Schema {
    #[serde(rename = "$ref")]
    reference: Option<String>,
    #[serde(rename = "type")]
    types: Option<Types>,
    format: Option<String>,
    items: Option<Box<Self>>,
    #[serde(default)]
    pub(super) properties: BTreeMap<String, Self>,
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
    pub(super) is_required: bool,
    /// What else stands beside the kind, such as `may be null`.
    pub(super) notes: Vec<&'static str>,
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

    /// The bodies it takes, by content type; of several, any one.
    pub(super) fn bodies(&self) -> impl Iterator<Item = (&str, &Content)> {
        let bodies = self.request_body.iter().flat_map(|body| &body.content);
        bodies.map(|(media, content)| (media.as_str(), content))
    }

    /// The schema of the JSON it answers when all went well.
    pub(super) fn answer(&self) -> Option<&Schema> {
        let well = self.responses.iter().find(|(status, _)| status.starts_with('2'));
        well.and_then(|(_, body)| body.schema())
    }

    /// The schemas of all JSON it may answer.
    pub(super) fn answers(&self) -> impl Iterator<Item = &Schema> {
        self.responses.values().filter_map(Body::schema)
    }
}

impl Body {
    fn schema(&self) -> Option<&Schema> {
        Some(&self.content.get(JSON)?.schema)
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
        let either = self.one_of.iter().chain(&self.all_of).map(Self::kind);
        let either: Vec<Kind> = either.filter(|kind| kind.words != "null").collect();
        match either.first() {
            None => Kind { words: self.type_words(), shape: None },
            Some(first) => {
                let words = either.iter().map(|kind| kind.words.as_str()).collect::<Vec<_>>();
                Kind { words: words.join(" or "), shape: first.shape.clone() }
            }
        }
    }

    fn type_words(&self) -> String {
        if self.format.as_deref() == Some("binary") {
            return "file".to_owned();
        }
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
    /// The fields of an object, whatever it refers to or is put together from; what must be there comes first.
    pub(super) fn fields(&self, schema: &Schema) -> Vec<Field> {
        let schema = self.resolved(schema);
        let own =
            schema.properties.iter().map(|(name, property)| self.field(name, property, &schema.required));
        let mut fields: Vec<Field> = own.collect();
        // As they were written, which is what one wants to know first.
        fields.sort_by_key(|field| schema.required.iter().position(|name| *name == field.name));
        fields.extend(schema.all_of.iter().flat_map(|part| self.fields(part)));
        fields.sort_by_key(|field| !field.is_required);
        fields
    }

    /// The names and schemas of the fields that an object must have.
    pub(super) fn required<'s>(&'s self, schema: &'s Schema) -> Vec<(&'s str, &'s Schema)> {
        let schema = self.resolved(schema);
        let own =
            schema.required.iter().filter_map(|name| Some((name.as_str(), schema.properties.get(name)?)));
        let own = own.map(|(name, property)| (name, self.resolved(property)));
        own.chain(schema.all_of.iter().flat_map(|part| self.required(part))).collect()
    }

    /// A parameter as a field.
    pub(super) fn parameter(&self, parameter: &Parameter) -> Field {
        let field = self.field(&parameter.name, &parameter.schema, &[]);
        Field {
            is_required: parameter.required,
            notes: if parameter.place == "query" { vec!["in the query"] } else { Vec::new() },
            description: parameter.description.clone().unwrap_or(field.description),
            ..field
        }
    }

    fn field(&self, name: &str, schema: &Schema, required: &[String]) -> Field {
        let description = schema.description.as_ref().or_else(|| self.resolved(schema).description.as_ref());
        let is_required = required.iter().any(|required| required == name);
        Field {
            name: name.to_owned(),
            kind: schema.kind(),
            is_required,
            notes: if is_required && schema.is_nullable() { vec!["may be null"] } else { Vec::new() },
            description: description.cloned().unwrap_or_default(),
        }
    }

    /// What a reference leads to, and what may be null is when it is not; anything else is itself.
    pub(super) fn resolved<'s>(&'s self, schema: &'s Schema) -> &'s Schema {
        if let [either, or] = schema.one_of.as_slice() {
            let other = if either.is_nullable() { or } else { either };
            return if schema.is_nullable() { self.resolved(other) } else { schema };
        }
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
        assert_eq!(fields.iter().map(|field| field.is_required).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!(described.required(&schema).len(), 1);
    }
}
