//! The query language of Conductor's searches: clauses joined by AND.
//!
//! ```text
//! clause = field ("=" | ">" | "<" | ">=" | "<=") value | field "IN" "(" value {"," value} ")"
//! ```
//! Values may be quoted with `'` or `"`.

use crate::api::ApiError;

/// Longest query in bytes.
const QUERY_BYTES_MAX: usize = 16 * 1024;
/// Most clauses in one query.
const CLAUSES_MAX: usize = 32;

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api::conductor) struct Clause {
    pub(in crate::api::conductor) field: String,
    pub(in crate::api::conductor) operator: Operator,
    /// One value, or several for `IN`.
    pub(in crate::api::conductor) values: Vec<String>,
}

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api::conductor) enum Operator {
    /// `=` or `IN`.
    Is,
    /// `>` or `>=`.
    From,
    /// `<` or `<=`.
    Before,
}

/// The clauses of a query; none for an empty one and for `*`.
pub(in crate::api::conductor) fn parse_query(text: &str) -> Result<Vec<Clause>, ApiError> {
    if text.len() > QUERY_BYTES_MAX {
        return Err(ApiError::bad_request("query-invalid", format!("query is longer than {QUERY_BYTES_MAX} bytes")));
    }
    let mut reader = Reader { text, at: 0 };
    let mut clauses = Vec::new();
    reader.skip_blanks();
    if reader.rest().is_empty() || reader.rest().trim_end() == "*" {
        return Ok(clauses);
    }
    loop {
        clauses.push(reader.clause()?);
        if clauses.len() > CLAUSES_MAX {
            return Err(reader.error(&format!("more than {CLAUSES_MAX} clauses")));
        }
        reader.skip_blanks();
        if reader.rest().is_empty() {
            return Ok(clauses);
        }
        if !reader.take_word("AND") {
            return Err(reader.error("expected AND or the end; OR and groups are not supported"));
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn error(&self, expected: &str) -> ApiError {
        let place = self.text.get(..self.at).map_or(0, |before| before.chars().count()) + 1;
        ApiError::bad_request("query-invalid", format!("query, at character {place}: {expected}"))
            .hint("write clauses as in workflowType='x' AND status IN (RUNNING,FAILED) AND startTime>1700000000000")
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// Takes a keyword in any case, when it stands for itself.
    fn take_word(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let matches = rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
        let ends = rest.get(word.len()..).is_some_and(|tail| !tail.starts_with(|c: char| c.is_alphanumeric()));
        if matches && ends {
            self.at += word.len();
        }
        matches && ends
    }

    fn clause(&mut self) -> Result<Clause, ApiError> {
        self.skip_blanks();
        let rest = self.rest();
        let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len());
        let field = rest.get(..length).unwrap_or_default();
        if field.is_empty() {
            return Err(self.error("expected a field's name"));
        }
        self.at += length;
        self.skip_blanks();
        if self.take_word("IN") {
            return Ok(Clause { field: field.to_owned(), operator: Operator::Is, values: self.list()? });
        }
        let operator = if self.take(">=") || self.take(">") {
            Operator::From
        } else if self.take("<=") || self.take("<") {
            Operator::Before
        } else if self.take("=") {
            Operator::Is
        } else {
            return Err(self.error("expected =, >, < or IN"));
        };
        Ok(Clause { field: field.to_owned(), operator, values: vec![self.value(false)?] })
    }

    fn list(&mut self) -> Result<Vec<String>, ApiError> {
        self.skip_blanks();
        if !self.take("(") {
            return Err(self.error("expected ( after IN"));
        }
        let mut values = Vec::new();
        loop {
            values.push(self.value(true)?);
            self.skip_blanks();
            if self.take(")") {
                return Ok(values);
            }
            if !self.take(",") {
                return Err(self.error("expected , or )"));
            }
        }
    }

    fn value(&mut self, in_list: bool) -> Result<String, ApiError> {
        self.skip_blanks();
        for quote in ["'", "\""] {
            if self.take(quote) {
                let rest = self.rest();
                let end = rest.find(quote).ok_or_else(|| self.error("the quotation mark is never closed"))?;
                self.at += end + 1;
                return Ok(rest.get(..end).unwrap_or_default().to_owned());
            }
        }
        let rest = self.rest();
        let ends = |c: char| c.is_whitespace() || (in_list && matches!(c, ',' | ')'));
        let end = rest.find(ends).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.error("expected a value"));
        }
        self.at += end;
        Ok(rest.get(..end).unwrap_or_default().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clause(field: &str, operator: Operator, values: &[&str]) -> Clause {
        Clause { field: field.to_owned(), operator, values: values.iter().map(|value| (*value).to_owned()).collect() }
    }

    #[test]
    fn what_sdks_and_uis_write_is_read() {
        assert_eq!(
            parse_query("workflowType='simple2' AND status='RUNNING'").unwrap(),
            [clause("workflowType", Operator::Is, &["simple2"]), clause("status", Operator::Is, &["RUNNING"])]
        );
        assert_eq!(
            parse_query("status IN (COMPLETED, 'FAILED') and startTime > 5 AND startTime<9").unwrap(),
            [
                clause("status", Operator::Is, &["COMPLETED", "FAILED"]),
                clause("startTime", Operator::From, &["5"]),
                clause("startTime", Operator::Before, &["9"]),
            ]
        );
        assert_eq!(parse_query("correlationId=\"a AND b\"").unwrap()[0].values, ["a AND b"]);
    }

    #[test]
    fn nothing_and_a_star_mean_everything() {
        assert!(parse_query("").unwrap().is_empty());
        assert!(parse_query(" * ").unwrap().is_empty());
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        for (text, place, says) in [
            ("status", 7, "="),
            ("='x'", 1, "field"),
            ("status='RUN", 9, "never closed"),
            ("status IN RUNNING", 11, "("),
            ("status IN (A B)", 14, ")"),
            ("a=1 OR b=2", 5, "OR"),
            ("a=", 3, "value"),
        ] {
            let error = parse_query(text).unwrap_err();
            assert!(error.message.contains(&format!("character {place}:")), "{text}: {}", error.message);
            assert!(error.message.contains(says), "{text}: {}", error.message);
        }
    }
}
