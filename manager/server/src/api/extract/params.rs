//! Query parameters, as lenient as SDKs need and no more.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;

use crate::api::ApiError;

/// The query's pairs. Unknown names are ignored; an empty value, `None` and `null` count as absent, because SDKs write
/// what their languages call nothing.
#[derive(Clone, Debug, Default)]
pub(in crate::api) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(pairs) = Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| ApiError::bad_request("query-malformed", rejection.body_text()))?;
        Ok(Self(pairs))
    }
}

impl Params {
    /// The first value of a parameter.
    pub(in crate::api) fn text(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim())?;
        (!matches!(value, "" | "None" | "null")).then_some(value)
    }

    /// Whether the parameter is there at all, with or without a value.
    pub(in crate::api) fn is_given(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// Every value of a parameter that may be given several times.
    pub(in crate::api) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// A switch: `true`, `True`, `false`, `False`.
    pub(in crate::api) fn flag(&self, name: &str, default: bool) -> Result<bool, ApiError> {
        match self.text(name) {
            None => Ok(default),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(text) => Err(invalid(name, text, "true or false")),
        }
    }

    /// A value of another type.
    pub(in crate::api) fn value<T>(&self, name: &str) -> Result<Option<T>, ApiError>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.text(name).map(|text| text.parse().map_err(|error| invalid(name, text, error))).transpose()
    }

    /// A number of rows, seconds or the like, between 0 and `max`; larger numbers are an error that names the limit.
    pub(in crate::api) fn number(&self, name: &str, default: usize, max: usize) -> Result<usize, ApiError> {
        match self.value::<i64>(name)? {
            None => Ok(default),
            Some(number) => usize::try_from(number)
                .ok()
                .filter(|number| *number <= max)
                .ok_or_else(|| invalid(name, &number.to_string(), format_args!("a number from 0 to {max}"))),
        }
    }
}

fn invalid(name: &str, found: &str, expected: impl Display) -> ApiError {
    ApiError::bad_request("query-invalid", format!("query parameter {name} is {found:?}, which is not valid: {expected}"))
}

/// Parameters as a request has them.
#[cfg(test)]
pub(in crate::api) fn params(pairs: &[(&str, &str)]) -> Params {
    Params(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_come_in_every_sdks_spelling() {
        for (text, value) in [("true", true), ("True", true), ("TRUE", true), ("false", false), ("False", false)] {
            assert_eq!(params(&[("x", text)]).flag("x", !value).unwrap(), value, "{text}");
        }
        assert!(params(&[("x", "yes")]).flag("x", false).unwrap_err().message.contains("true or false"));
    }

    #[test]
    fn nothing_in_any_language_is_absent() {
        for text in ["", "None", "null"] {
            assert_eq!(params(&[("version", text)]).value::<i32>("version").unwrap(), None, "{text}");
        }
    }

    #[test]
    fn a_wrong_number_names_parameter_value_and_limit() {
        let error = params(&[("size", "90000")]).number("size", 10, 5000).unwrap_err();
        assert!(error.message.contains("size") && error.message.contains("90000") && error.message.contains("5000"));
        assert!(params(&[("size", "-1")]).number("size", 10, 5000).is_err());
        assert!(params(&[("size", "ten")]).number("size", 10, 5000).is_err());
    }

    #[test]
    fn a_parameter_may_come_several_times() {
        let params = params(&[("taskType", "a"), ("other", "x"), ("taskType", "b")]);
        assert_eq!(params.all("taskType").collect::<Vec<_>>(), ["a", "b"]);
    }
}
