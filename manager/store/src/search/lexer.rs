//! A query's text in pieces.

use super::parser::QueryError;

/// A piece, and where it begins: the character's number, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) at: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Open,
    Close,
    Comma,
    /// `=`, `!=`, `<`, `>`, `<=`, `>=`.
    Operator(&'static str),
    /// In quotes, which are taken away.
    Quoted(String),
    Word(String),
    End,
}

/// Which pieces there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Fields and words.
    Query,
    /// Words alone: whatever is no group and no double quote belongs to a word.
    FreeText,
}

/// Splits a text; the last piece is always [`TokenKind::End`].
pub(super) fn split(text: &str, dialect: Dialect) -> Result<Vec<Token>, QueryError> {
    let chars: Vec<char> = text.chars().collect();
    let mut lexer = Lexer { chars: &chars, next: 0, dialect };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.token()?;
        let end = token.kind == TokenKind::End;
        tokens.push(token);
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    chars: &'a [char],
    next: usize,
    dialect: Dialect,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.next).copied()
    }

    fn token(&mut self) -> Result<Token, QueryError> {
        while self.peek().is_some_and(char::is_whitespace) {
            self.next += 1;
        }
        let at = self.next + 1;
        let Some(first) = self.peek() else { return Ok(Token { kind: TokenKind::End, at }) };
        let kind = match first {
            '(' => self.one(TokenKind::Open),
            ')' => self.one(TokenKind::Close),
            '"' => self.quoted(first)?,
            '\'' if self.dialect == Dialect::Query => self.quoted(first)?,
            ',' if self.dialect == Dialect::Query => self.one(TokenKind::Comma),
            '=' | '<' | '>' | '!' if self.dialect == Dialect::Query => self.operator(first)?,
            _ => self.word(),
        };
        Ok(Token { kind, at })
    }

    fn one(&mut self, kind: TokenKind) -> TokenKind {
        self.next += 1;
        kind
    }

    fn operator(&mut self, first: char) -> Result<TokenKind, QueryError> {
        let at = self.next + 1;
        self.next += 1;
        let (operator, length) = match (first, self.peek()) {
            ('<', Some('=')) => ("<=", 1),
            ('<', Some('>')) | ('!', Some('=')) => ("!=", 1),
            ('>', Some('=')) => (">=", 1),
            ('=', Some('=')) => ("=", 1),
            ('=', _) => ("=", 0),
            ('<', _) => ("<", 0),
            ('>', _) => (">", 0),
            _ => return Err(QueryError::new(at, "= behind !", "!".to_owned())),
        };
        self.next += length;
        Ok(TokenKind::Operator(operator))
    }

    /// A quote within is written twice or behind a backslash.
    fn quoted(&mut self, quote: char) -> Result<TokenKind, QueryError> {
        let at = self.next + 1;
        self.next += 1;
        let mut text = String::new();
        while let Some(c) = self.peek() {
            self.next += 1;
            match (c, self.peek()) {
                ('\\', Some(escaped)) if escaped == quote || escaped == '\\' => {
                    text.push(escaped);
                    self.next += 1;
                }
                (c, Some(next)) if c == quote && next == quote => {
                    text.push(quote);
                    self.next += 1;
                }
                (c, _) if c == quote => return Ok(TokenKind::Quoted(text)),
                (c, _) => text.push(c),
            }
        }
        Err(QueryError::new(at, "a second quote for this one", "the end".to_owned()))
    }

    fn word(&mut self) -> TokenKind {
        let ends = |c: char| match self.dialect {
            Dialect::Query => c.is_whitespace() || "(),'\"=<>".contains(c),
            Dialect::FreeText => c.is_whitespace() || "()\"".contains(c),
        };
        let rest = self.chars.get(self.next..).unwrap_or_default();
        // `a!=b` is a comparison, while `really!` is a word.
        let not_equal =
            |index: usize| self.dialect == Dialect::Query && rest.get(index) == Some(&'!') && rest.get(index + 1) == Some(&'=');
        let length = (0..rest.len()).find(|&index| rest.get(index).is_some_and(|c| ends(*c)) || not_equal(index));
        let length = length.unwrap_or(rest.len()).max(1);
        self.next += length;
        TokenKind::Word(rest.iter().take(length).collect())
    }
}
