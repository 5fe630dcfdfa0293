//! Reading selectors.

use super::{Comparison, Operand, Requirement, SELECTOR_BYTES_MAX, Selector, SelectorError, Subject, Test};

/// What a fact's name begins with.
const FACT: &str = "fact:";

/// Reads a selector.
pub(super) fn selector(text: &str) -> Result<Selector, SelectorError> {
    let mut reader = Reader { text, at: 0 };
    if text.len() > SELECTOR_BYTES_MAX {
        return Err(reader.error(format!("is {} bytes long; at most {SELECTOR_BYTES_MAX} are allowed", text.len())));
    }
    let mut requirements = Vec::new();
    loop {
        requirements.push(reader.requirement()?);
        reader.blanks();
        if reader.left().is_empty() {
            return Ok(Selector { requirements });
        }
        if !reader.take(",") {
            return Err(reader.error("expected a comma and another requirement, or the end"));
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    /// Bytes read.
    at: usize,
}

impl<'t> Reader<'t> {
    fn left(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn error(&self, message: impl Into<String>) -> SelectorError {
        let at = self.text[..self.at].chars().count() + 1;
        SelectorError { text: self.text.to_owned(), at, message: message.into() }
    }

    fn blanks(&mut self) {
        self.at += self.left().len() - self.left().trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.left().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        self.blanks();
        if self.take("!") {
            self.blanks();
            return Ok(Requirement { subject: self.subject()?, test: Test::Missing });
        }
        let subject = self.subject()?;
        let test = self.test(&subject)?;
        Ok(Requirement { subject, test })
    }

    fn subject(&mut self) -> Result<Subject, SelectorError> {
        if !self.take(FACT) {
            return self.key("the name of a label, or `fact:` and the name of a fact").map(Subject::Label);
        }
        let begin = self.at;
        let path = self.key("the name of a fact, as in fact:memory.total")?;
        if path.split('.').any(str::is_empty) {
            self.at = begin;
            return Err(self.error(format!("the fact's name {path:?} has an empty part between its dots")));
        }
        Ok(Subject::Fact(path))
    }

    fn key(&mut self, expected: &str) -> Result<String, SelectorError> {
        let left = self.left();
        let end = left.find(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/'))).unwrap_or(left.len());
        if end == 0 {
            return Err(self.error(format!("expected {expected}")));
        }
        self.at += end;
        Ok(left[..end].to_owned())
    }

    fn test(&mut self, subject: &Subject) -> Result<Test, SelectorError> {
        self.blanks();
        if self.left().is_empty() || self.left().starts_with(',') {
            return Ok(Test::Exists);
        }
        // Longer signs before those that they begin with.
        for (sign, comparison) in
            [(">=", Comparison::AtLeast), ("<=", Comparison::AtMost), (">", Comparison::More), ("<", Comparison::Less)]
        {
            let sign_at = self.at;
            if self.take(sign) {
                if matches!(subject, Subject::Label(_)) {
                    self.at = sign_at;
                    return Err(
                        self.error("labels are texts and cannot be compared by size; facts can, as in fact:cpu.count>=4")
                    );
                }
                return self.compare(comparison);
            }
        }
        if self.take("==") || self.take("=") {
            return Ok(Test::OneOf(vec![self.operand()?]));
        }
        if self.take("!=") {
            return Ok(Test::NoneOf(vec![self.operand()?]));
        }
        if self.word("notin") {
            return self.operands().map(Test::NoneOf);
        }
        if self.word("in") {
            return self.operands().map(Test::OneOf);
        }
        Err(self.error("expected =, !=, in (…), notin (…), >, >=, <, <=, a comma or the end"))
    }

    /// Takes a word that nothing of a word follows.
    fn word(&mut self, word: &str) -> bool {
        let ends = self.left().strip_prefix(word).is_some_and(|after| after.starts_with([' ', '(', '\t']));
        ends && self.take(word)
    }

    fn compare(&mut self, comparison: Comparison) -> Result<Test, SelectorError> {
        self.blanks();
        let begin = self.at;
        let operand = self.operand()?;
        if operand.number.is_none() {
            self.at = begin;
            return Err(self.error("expected a number or a size, as in 4, 1.5 or 1GiB"));
        }
        Ok(Test::Compare(comparison, operand))
    }

    fn operands(&mut self) -> Result<Vec<Operand>, SelectorError> {
        self.blanks();
        if !self.take("(") {
            return Err(self.error("expected a list of values in parentheses, as in (prod,staging)"));
        }
        let mut operands = Vec::new();
        loop {
            operands.push(self.operand()?);
            if self.take(")") {
                return Ok(operands);
            }
            if !self.take(",") {
                return Err(self.error("expected a comma or a closing parenthesis"));
            }
        }
    }

    /// A value: up to the next sign of the grammar, without blanks at its ends.
    fn operand(&mut self) -> Result<Operand, SelectorError> {
        self.blanks();
        let left = self.left();
        let end = left.find([',', '(', ')', '=', '!', '<', '>']).unwrap_or(left.len());
        let text = left[..end].trim_end();
        if text.is_empty() {
            return Err(self.error("expected a value"));
        }
        self.at += end;
        Ok(Operand::new(text))
    }
}
