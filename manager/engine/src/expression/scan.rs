//! Finding the expressions in a text.

use super::EXPRESSION_NESTING_MAX;
use super::path::Path;
use crate::sealed::sealed;

/// A stretch of a text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    /// As it is.
    Text(String),
    /// To be looked up.
    Expression(Expression),
}

/// One `${…}`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    /// The path is known.
    Fixed(Path),
    /// The path is put together from other expressions first.
    Nested(Vec<Part>),
}

/// Takes a text apart. Neighbouring plain stretches are one part. The error says what is wrong.
pub(crate) fn parts(text: &str, nesting: usize) -> Result<Vec<Part>, String> {
    if nesting > EXPRESSION_NESTING_MAX {
        return Err(format!("expressions are nested more than {EXPRESSION_NESTING_MAX} deep"));
    }
    let mut out = Vec::new();
    let mut plain = String::new();
    let mut left = text;
    while let Some(at) = left.find('$') {
        plain.push_str(&left[..at]);
        left = &left[at..];
        if let Some(after) = left.strip_prefix("$${") {
            plain.push_str("${");
            left = after;
        } else if let Some(after) = left.strip_prefix("${") {
            let end = closing_brace(after).ok_or_else(|| {
                format!("`${{` at character {} has no `}}`; write `$${{` for a plain `${{`", position(text, left))
            })?;
            let whole = &left[..end + 3];
            left = &after[end + 1..];
            // Looked up at hand-over; until then it is a text like any other.
            if sealed(&after[..end]).is_some() {
                if nesting > 1 {
                    return Err(format!("`{whole}` cannot stand in another expression: it is looked up after all others"));
                }
                plain.push_str(whole);
                continue;
            }
            if !plain.is_empty() {
                out.push(Part::Text(std::mem::take(&mut plain)));
            }
            out.push(Part::Expression(expression(&after[..end], nesting)?));
        } else {
            plain.push('$');
            left = &left[1..];
        }
    }
    plain.push_str(left);
    if !plain.is_empty() {
        out.push(Part::Text(plain));
    }
    Ok(out)
}

fn expression(text: &str, nesting: usize) -> Result<Expression, String> {
    if text.contains("${") {
        return Ok(Expression::Nested(parts(text, nesting + 1)?));
    }
    Path::parse(text).map(Expression::Fixed)
}

/// Where `left`, the end of `text`, begins: in characters from 1.
fn position(text: &str, left: &str) -> usize {
    text[..text.len() - left.len()].chars().count() + 1
}

/// The offset of the brace that closes an expression. Braces in quotes in brackets or parentheses do not count.
fn closing_brace(text: &str) -> Option<usize> {
    let (mut braces, mut brackets) = (1_u32, 0_u32);
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '{' => braces += 1,
            '}' => {
                braces -= 1;
                if braces == 0 {
                    return Some(at);
                }
            }
            '[' | '(' => brackets += 1,
            ']' | ')' => brackets = brackets.saturating_sub(1),
            '\'' | '"' if brackets > 0 => loop {
                match chars.next()?.1 {
                    '\\' => {
                        chars.next()?;
                    }
                    other if other == c => break,
                    _ => {}
                }
            },
            _ => {}
        }
    }
    None
}
