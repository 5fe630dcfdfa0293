//! The right side of a comparison.

use conductor_model::{TaskStatus, WorkflowStatus};

use super::super::expr::{Condition, Expr, Test, Value};
use super::super::field::{Field, Kind};
use super::super::lexer::TokenKind;
use super::{Parser, QueryError};

impl Parser<'_> {
    /// What follows `field operator`.
    pub(super) fn operator<F: Field>(&mut self, field: F, operator: &str) -> Result<Expr<F>, QueryError> {
        let is = |test| Expr::Field(Condition { field, test });
        Ok(match operator {
            "=" => self.equal(field)?,
            "!=" => Expr::Not(Box::new(self.equal(field)?)),
            // Whole numbers: above n is n + 1 and more.
            ">" => is(Test::Range { from: Some(self.number(field)?.saturating_add(1)), to: None }),
            ">=" => is(Test::Range { from: Some(self.number(field)?), to: None }),
            "<" => is(Test::Range { from: None, to: Some(self.number(field)?.saturating_sub(1)) }),
            _ => is(Test::Range { from: None, to: Some(self.number(field)?) }),
        })
    }

    /// One value: itself, the beginning of a text, or `*`.
    fn equal<F: Field>(&mut self, field: F) -> Result<Expr<F>, QueryError> {
        let is = |test| Expr::Field(Condition { field, test });
        let text = self.raw(field)?;
        let expr = match text.strip_suffix('*') {
            Some("") => Expr::Not(Box::new(is(Test::Missing))),
            Some(beginning) if field.kind() == Kind::Text => is(Test::StartsWith(self.no_star(beginning)?)),
            _ => is(Test::Is(vec![self.value(field, &text)?])),
        };
        self.next += 1;
        Ok(expr)
    }

    fn no_star(&self, text: &str) -> Result<String, QueryError> {
        if text.contains('*') { Err(self.expected("* at the end of a value alone")) } else { Ok(text.to_owned()) }
    }

    /// `( value , … )`; a value that ends in `*` is the beginning of a text here too.
    pub(super) fn list<F: Field>(&mut self, field: F) -> Result<Expr<F>, QueryError> {
        if !self.take(&TokenKind::Open) {
            return Err(self.expected("( and the values"));
        }
        let mut values = Vec::new();
        let mut others = Vec::new();
        loop {
            self.count()?;
            match self.equal(field)? {
                Expr::Field(Condition { test: Test::Is(one), .. }) => values.extend(one),
                other => others.push(other),
            }
            if self.take(&TokenKind::Close) {
                break;
            }
            if !self.take(&TokenKind::Comma) {
                return Err(self.expected("a comma or )"));
            }
        }
        if !values.is_empty() {
            others.push(Expr::Field(Condition { field, test: Test::Is(values) }));
        }
        Ok(match others.pop() {
            Some(only) if others.is_empty() => only,
            last => Expr::Or(others.into_iter().chain(last).collect()),
        })
    }

    /// A whole number or a moment.
    pub(super) fn number<F: Field>(&mut self, field: F) -> Result<i64, QueryError> {
        let text = self.raw(field)?;
        let number = match field.kind() {
            Kind::Number => text.parse().map_err(|_| self.expected(format!("a whole number for {}", field.name())))?,
            Kind::Time => self.moment(field, &text)?,
            Kind::Text | Kind::Id | Kind::WorkflowStatus | Kind::TaskStatus => {
                let expected = format!("=, !=, IN, STARTS_WITH or IS behind {}, which has no order", field.name());
                return Err(self.expected(expected));
            }
        };
        self.next += 1;
        Ok(number)
    }

    /// The beginning of a text.
    pub(super) fn text<F: Field>(&mut self, field: F) -> Result<String, QueryError> {
        if field.kind() != Kind::Text {
            return Err(self.expected(format!("a comparison of whole values: {} is no text", field.name())));
        }
        let text = self.raw(field)?;
        let text = self.no_star(text.strip_suffix('*').unwrap_or(&text))?;
        self.next += 1;
        Ok(text)
    }

    fn raw<F: Field>(&self, field: F) -> Result<String, QueryError> {
        match self.peek() {
            TokenKind::Word(text) | TokenKind::Quoted(text) => Ok(text.clone()),
            _ => Err(self.expected(format!("a value for {}", field.name()))),
        }
    }

    fn value<F: Field>(&self, field: F, text: &str) -> Result<Value, QueryError> {
        let name = field.name();
        match field.kind() {
            Kind::Text => self.no_star(text).map(Value::Text),
            Kind::Id => text.parse().map(Value::Id).map_err(|_| self.expected(format!("an id (a UUID) for {name}"))),
            Kind::Number => text.parse().map(Value::Number).map_err(|_| self.expected(format!("a whole number for {name}"))),
            Kind::Time => self.moment(field, text).map(Value::Number),
            Kind::WorkflowStatus => self.status(WorkflowStatus::ALL.iter().map(|status| status.as_str()), text),
            Kind::TaskStatus => self.status(TaskStatus::ALL.iter().map(|status| status.as_str()), text),
        }
    }

    fn status(&self, known: impl Iterator<Item = &'static str> + Clone, text: &str) -> Result<Value, QueryError> {
        match known.clone().find(|status| status.eq_ignore_ascii_case(text)) {
            Some(status) => Ok(Value::Text(status.to_owned())),
            None => Err(self.expected(format!("a status ({})", known.collect::<Vec<_>>().join(", ")))),
        }
    }

    /// Milliseconds since 1970, an ISO time, or a day (its beginning in UTC).
    fn moment<F: Field>(&self, field: F, text: &str) -> Result<i64, QueryError> {
        if let Ok(ms) = text.parse() {
            return Ok(ms);
        }
        let day = || {
            let date: jiff::civil::Date = text.parse().ok()?;
            date.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|moment| moment.timestamp())
        };
        let moment = text.parse::<jiff::Timestamp>().ok().or_else(day);
        moment.map(jiff::Timestamp::as_millisecond).ok_or_else(|| {
            let name = field.name();
            self.expected(format!("a moment for {name}: milliseconds since 1970, or as in 2026-11-22T06:08:49Z"))
        })
    }
}
