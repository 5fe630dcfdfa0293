//! Reading a query, by recursive descent.

use thiserror::Error;

use super::expr::{Condition, Expr, Test, Words};
use super::field::Field;
use super::lexer::{Dialect, Token, TokenKind, split};
use super::{DEPTH_MAX, QUERY_BYTES_MAX, TERMS_MAX, words};

mod values;

/// Why a query cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("at character {at}: expected {expected}, found {found}")]
pub struct QueryError {
    /// Where: the number of the character, from 1.
    pub at: usize,
    /// What was expected there.
    pub expected: String,
    /// What was there.
    pub found: String,
}

impl QueryError {
    pub(super) fn new(at: usize, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { at, expected: expected.into(), found: found.into() }
    }
}

/// Reads a query; an empty one and `*` match every row.
///
/// # Errors
/// When it is no query, names a field that is not known, or is longer or deeper than it may be.
pub fn parse_query<F: Field>(text: &str) -> Result<Expr<F>, QueryError> {
    parse(text, Dialect::Query)
}

/// Reads words and phrases to look for in the whole text. Words that stand side by side must all be there; `AND`, `OR`, `NOT`
/// (in capitals) and groups are understood.
///
/// # Errors
/// When quotes or groups are not closed, or the text is longer or deeper than it may be.
pub fn parse_free_text<F: Field>(text: &str) -> Result<Expr<F>, QueryError> {
    parse(text, Dialect::FreeText)
}

fn parse<F: Field>(text: &str, dialect: Dialect) -> Result<Expr<F>, QueryError> {
    if text.len() > QUERY_BYTES_MAX {
        return Err(QueryError::new(1, format!("at most {QUERY_BYTES_MAX} bytes"), format!("{} bytes", text.len())));
    }
    if matches!(text.trim(), "" | "*") {
        return Ok(Expr::Any);
    }
    let tokens = split(text, dialect)?;
    let mut parser = Parser { tokens: &tokens, next: 0, dialect, depth: 0, terms: 0 };
    let expr = parser.any()?;
    match parser.peek() {
        TokenKind::End => Ok(expr),
        _ => Err(parser.expected("AND, OR or the end")),
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    next: usize,
    dialect: Dialect,
    depth: usize,
    terms: usize,
}

impl Parser<'_> {
    fn token(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.next + ahead).or_else(|| self.tokens.last())
    }

    fn peek(&self) -> &TokenKind {
        self.token(0).map_or(&TokenKind::End, |token| &token.kind)
    }

    fn expected(&self, expected: impl Into<String>) -> QueryError {
        let found = match self.peek() {
            TokenKind::End => "the end".to_owned(),
            TokenKind::Open => "(".to_owned(),
            TokenKind::Close => ")".to_owned(),
            TokenKind::Comma => "a comma".to_owned(),
            TokenKind::Operator(operator) => (*operator).to_owned(),
            TokenKind::Quoted(text) | TokenKind::Word(text) => format!("{text:?}"),
        };
        QueryError::new(self.token(0).map_or(1, |token| token.at), expected, found)
    }

    fn is_keyword(&self, ahead: usize, keyword: &str) -> bool {
        match self.token(ahead).map(|token| &token.kind) {
            Some(TokenKind::Word(word)) if self.dialect == Dialect::Query => word.eq_ignore_ascii_case(keyword),
            Some(TokenKind::Word(word)) => word == keyword,
            _ => false,
        }
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.is_keyword(0, keyword);
        self.next += usize::from(found);
        found
    }

    fn take(&mut self, kind: &TokenKind) -> bool {
        let found = self.peek() == kind;
        self.next += usize::from(found);
        found
    }

    /// Counts a condition or a value.
    fn count(&mut self) -> Result<(), QueryError> {
        self.terms += 1;
        if self.terms > TERMS_MAX { Err(self.expected(format!("at most {TERMS_MAX} conditions and values"))) } else { Ok(()) }
    }

    fn any<F: Field>(&mut self) -> Result<Expr<F>, QueryError> {
        let first = self.all()?;
        if !self.is_keyword(0, "OR") {
            return Ok(first);
        }
        let mut any = vec![first];
        while self.take_keyword("OR") {
            any.push(self.all()?);
        }
        Ok(Expr::Or(any))
    }

    fn all<F: Field>(&mut self) -> Result<Expr<F>, QueryError> {
        let first = self.one()?;
        let mut all = vec![first];
        loop {
            if !self.take_keyword("AND") && !self.goes_on_without_and() {
                break;
            }
            all.push(self.one()?);
        }
        Ok(match all.pop() {
            Some(only) if all.is_empty() => only,
            Some(last) => {
                all.push(last);
                Expr::And(all)
            }
            None => Expr::Any,
        })
    }

    /// In free text, words side by side must all be there.
    fn goes_on_without_and(&self) -> bool {
        let goes_on = matches!(self.peek(), TokenKind::Word(_) | TokenKind::Quoted(_) | TokenKind::Open);
        self.dialect == Dialect::FreeText && goes_on && !self.is_keyword(0, "OR")
    }

    fn one<F: Field>(&mut self) -> Result<Expr<F>, QueryError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.expected(format!("at most {DEPTH_MAX} groups within each other")));
        }
        let one = if self.take_keyword("NOT") {
            Expr::Not(Box::new(self.one()?))
        } else if self.take(&TokenKind::Open) {
            let inner = self.any()?;
            if !self.take(&TokenKind::Close) {
                return Err(self.expected("AND, OR or )"));
            }
            inner
        } else {
            self.clause()?
        };
        self.depth -= 1;
        Ok(one)
    }

    fn clause<F: Field>(&mut self) -> Result<Expr<F>, QueryError> {
        self.count()?;
        if self.dialect == Dialect::Query && matches!(self.peek(), TokenKind::Word(_)) && self.compares() {
            return self.comparison();
        }
        let text = match self.peek() {
            TokenKind::Word(text) if !["AND", "OR"].iter().any(|keyword| self.is_keyword(0, keyword)) => text.clone(),
            TokenKind::Quoted(text) => text.clone(),
            _ if self.dialect == Dialect::FreeText => return Err(self.expected("a word, a phrase in double quotes or (")),
            _ => return Err(self.expected("a field's name, a word, a phrase in quotes, NOT or (")),
        };
        let (body, prefix) = text.strip_suffix('*').map_or((text.as_str(), false), |body| (body, true));
        let tokens: Vec<String> = words::words(body).collect();
        if tokens.is_empty() {
            // `*`, and in free text whatever has no letter and no digit, asks for nothing.
            if prefix || self.dialect == Dialect::FreeText {
                self.next += 1;
                return Ok(Expr::Any);
            }
            return Err(self.expected("a word with a letter or a digit"));
        }
        self.next += 1;
        Ok(Expr::Words(Words { tokens, prefix }))
    }

    /// Whether a comparison follows the word that is next.
    fn compares(&self) -> bool {
        let behind = |ahead| ["IN", "BETWEEN", "STARTS_WITH", "IS"].iter().any(|keyword| self.is_keyword(ahead, keyword));
        let operator = matches!(self.token(1).map(|token| &token.kind), Some(TokenKind::Operator(_)));
        operator || behind(1) || (self.is_keyword(1, "NOT") && behind(2))
    }

    fn comparison<F: Field>(&mut self) -> Result<Expr<F>, QueryError> {
        let TokenKind::Word(name) = self.peek() else { return Err(self.expected("a field's name")) };
        let field = F::named(name).ok_or_else(|| self.expected(format!("a field of {} ({})", F::OF, F::names())))?;
        self.next += 1;
        let is = |test| Expr::Field(Condition { field, test });
        if let TokenKind::Operator(operator) = *self.peek() {
            self.next += 1;
            return self.operator(field, operator);
        }
        let negated = self.take_keyword("NOT");
        let expr = if self.take_keyword("IN") {
            self.list(field)?
        } else if self.take_keyword("BETWEEN") {
            let from = self.number(field)?;
            if !self.take_keyword("AND") {
                return Err(self.expected("AND and the upper bound"));
            }
            is(Test::Range { from: Some(from), to: Some(self.number(field)?) })
        } else if self.take_keyword("STARTS_WITH") {
            is(Test::StartsWith(self.text(field)?))
        } else if !negated && self.take_keyword("IS") {
            let not = self.take_keyword("NOT");
            if !self.take_keyword("NULL") {
                return Err(self.expected("NULL or NOT NULL"));
            }
            return Ok(if not { Expr::Not(Box::new(is(Test::Missing))) } else { is(Test::Missing) });
        } else {
            return Err(self.expected("=, !=, <, >, <=, >=, IN, NOT IN, BETWEEN, STARTS_WITH or IS"));
        };
        Ok(if negated { Expr::Not(Box::new(expr)) } else { expr })
    }
}

#[cfg(test)]
mod tests;
