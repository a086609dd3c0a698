//! Query parameters: typed by the handler, and put into one order for the key of a copy.
//!
//! A handler's type is the whole list of what it knows; other parameters are ignored.

use std::borrow::Cow;
use std::cell::Cell;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::value::{Error as PlainError, MapDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use url::form_urlencoded;

use super::error::ApiError;
use super::json;
use crate::error::{Error, Result};

/// The query parameters of a request that is not answered from copies. `T` is a flat struct.
#[derive(Debug, Clone)]
pub struct Params<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Params<T> {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(parse(request.query_string()).map(Self).map_err(ApiError))
    }
}

/// No parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct NoParams {}

/// The parameters of a list that has no others.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Paging {
    limit: Option<String>,
    cursor: Option<String>,
}

impl Paging {
    /// Returns the rows at most, as the caller wrote it.
    #[must_use]
    pub fn limit(&self) -> Option<&str> {
        self.limit.as_deref()
    }

    /// Returns where it begins, as the caller wrote it.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }
}

/// Reads a query string as `T`.
///
/// # Errors
/// `Invalid` naming the parameter.
pub(super) fn parse<T: DeserializeOwned>(query: &str) -> Result<T> {
    let known = names::<T>();
    let pairs = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| known.contains(&name.as_ref()))
        .map(|(name, value)| (name, Text(value)));
    serde_path_to_error::deserialize(MapDeserializer::<_, PlainError>::new(pairs)).map_err(|cause| {
        let (path, problem) = (cause.path().to_string(), cause.inner().to_string());
        // A parameter that is given twice is found one step above it.
        match json::missing(&problem) {
            Some(name) => Error::invalid(name, format!("{name}: {problem}, give it once")),
            None if path == "." => Error::bad_request(problem),
            None => Error::invalid(path.as_str(), format!("{path}: {problem}")),
        }
    })
}

/// The path with those query parameters that mean something, in one order and one spelling.
pub(super) fn canonical(path: &str, query: &str, known: &[&str]) -> String {
    let pairs = known_pairs(query, known);
    if pairs.is_empty() {
        return path.to_owned();
    }
    let mut address = path.to_owned();
    address.push('?');
    form_urlencoded::Serializer::for_suffix(address, path.len() + 1).extend_pairs(pairs).finish()
}

/// Name and value of each parameter that means something, sorted.
pub(super) fn known_pairs<'q>(query: &'q str, known: &[&str]) -> Vec<(Cow<'q, str>, Cow<'q, str>)> {
    let mut pairs: Vec<_> =
        form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| known.contains(&name.as_ref())).collect();
    pairs.sort();
    pairs
}

/// The names that `T`, a flat struct, reads: what its `Deserialize` asks a struct for.
pub(super) fn names<T: DeserializeOwned>() -> &'static [&'static str] {
    let names = Cell::new([].as_slice());
    // It always fails, having said what it wanted.
    drop(T::deserialize(Names(&names)));
    names.get()
}

/// Notes the field names of a struct and then refuses to go on.
struct Names<'a>(&'a Cell<&'static [&'static str]>);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = PlainError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, PlainError> {
        Err(PlainError::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, PlainError> {
        self.0.set(fields);
        Err(PlainError::custom(""))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// A parameter's value, read as whatever its field is.
struct Text<'q>(Cow<'q, str>);

impl<'de> IntoDeserializer<'de, PlainError> for Text<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident $expected:literal),* $(,)?) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PlainError> {
            let value = self.0.parse().map_err(|_| PlainError::custom(concat!("must be ", $expected)))?;
            visitor.$visit(value)
        }
    )* };
}

impl<'de> Deserializer<'de> for Text<'de> {
    type Error = PlainError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PlainError> {
        visitor.visit_string(self.0.into_owned())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, PlainError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, PlainError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, PlainError> {
        visitor.visit_enum(self.0.into_owned().into_deserializer())
    }

    parsed! {
        deserialize_bool visit_bool "true or false",
        deserialize_u8 visit_u8 "a whole number from 0 to 255",
        deserialize_u16 visit_u16 "a whole number from 0 to 65535",
        deserialize_u32 visit_u32 "a whole number, not below 0",
        deserialize_u64 visit_u64 "a whole number, not below 0",
        deserialize_i32 visit_i32 "a whole number",
        deserialize_i64 visit_i64 "a whole number",
        deserialize_f64 visit_f64 "a number",
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u128 f32 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Filter {
        limit: Option<u32>,
        state: Option<State>,
        #[serde(rename = "q")]
        text: Option<String>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum State {
        Wrong,
    }

    #[test]
    fn the_type_says_which_parameters_are_known() {
        assert_eq!(names::<Filter>(), ["limit", "state", "q"]);
        assert!(names::<NoParams>().is_empty());
    }

    #[test]
    fn unknown_parameters_are_ignored_and_bad_values_are_named() {
        let filter: Filter = parse("utm=1&q=a%20b&state=wrong&limit=5").unwrap();
        assert_eq!(filter, Filter { limit: Some(5), state: Some(State::Wrong), text: Some("a b".into()) });
        for (query, culprit) in [("limit=-1", "limit"), ("state=odd", "state"), ("limit=", "limit")] {
            let refused = parse::<Filter>(query);
            assert!(matches!(refused, Err(Error::Invalid { field: Some(field), .. }) if field == culprit));
        }
        let twice = parse::<Filter>("limit=1&limit=2");
        assert!(matches!(twice, Err(Error::Invalid { field: Some(field), .. }) if field == "limit"));
        assert!(parse::<NoParams>("a=b").is_ok());
    }

    #[test]
    fn one_question_has_one_key() {
        let known = names::<Filter>();
        let key = "/x?limit=5&q=a+b";
        for query in ["q=a+b&limit=5", "limit=5&utm_source=x&q=a%20b", "%6cimit=5&q=a%20b"] {
            assert_eq!(canonical("/x", query, known), key);
        }
        assert_eq!(canonical("/x", "utm=1", known), "/x");
    }
}
