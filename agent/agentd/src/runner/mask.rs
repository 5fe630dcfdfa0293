//! Keeping secrets out of what leaves the host.

use std::borrow::Cow;

/// Secrets shorter than this are left: they would blot out innocent text too. Results are held to the same by the manager.
const SECRET_BYTES_MIN: usize = 4;
/// What stands in place of a secret.
const BLOT: &str = "***";

/// The secrets of one task.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    /// The longest first: one may lie within another.
    forms: Vec<String>,
}

impl Mask {
    /// Blots out these values wherever they appear: as they are, line by line, and as they stand in JSON.
    #[must_use]
    pub fn new(secrets: &[String]) -> Self {
        let mut forms = Vec::new();
        for secret in secrets {
            let quoted = serde_json::to_string(secret).unwrap_or_default();
            forms.extend(quoted.get(1..quoted.len().saturating_sub(1)).map(str::to_owned));
            forms.extend(secret.lines().map(|line| line.trim_end().to_owned()));
            forms.push(secret.clone());
        }
        forms.retain(|form| form.len() >= SECRET_BYTES_MIN);
        forms.sort_unstable_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        forms.dedup();
        Self { forms }
    }

    /// The text without the secrets.
    #[must_use]
    pub fn blot<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for form in &self.forms {
            if text.contains(form.as_str()) {
                text = Cow::Owned(text.replace(form.as_str(), BLOT));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_blotted_out_in_every_form_that_they_may_be_said_in() {
        let secrets =
            ["s3cret".to_owned(), "a \"key\"\nof two lines\n".to_owned(), "abc".to_owned(), "s3cret-and-more".to_owned()];
        let mask = Mask::new(&secrets);
        assert_eq!(mask.blot("Bearer s3cret, again s3cret"), "Bearer ***, again ***");
        assert_eq!(mask.blot("s3cret-and-more"), "***", "the longest counts");
        assert_eq!(mask.blot("of two lines"), "***", "a secret of several lines is said line by line");
        assert_eq!(mask.blot(r#"{"k":"a \"key\"\nof two lines\n"}"#), r#"{"k":"***"}"#);
        assert_eq!(mask.blot("abc is too short to be one"), "abc is too short to be one");
        assert!(matches!(mask.blot("nothing here"), Cow::Borrowed(_)));
    }
}
