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

    /// How many bytes of a text that was cut off may still be told: its end may be the beginning of a secret.
    #[must_use]
    pub fn tellable(&self, cut: &[u8]) -> usize {
        let mut end = cut.len();
        // What is left may end with a beginning of another one.
        while let Some(held) = self.forms.iter().filter_map(|form| beginning_at_end(&cut[..end], form.as_bytes())).max() {
            end -= held;
        }
        end
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

/// The length of the longest beginning of a secret, not all of it, that a text ends with.
fn beginning_at_end(text: &[u8], secret: &[u8]) -> Option<usize> {
    let most = secret.len().saturating_sub(1).min(text.len());
    (1..=most).rev().find(|length| text.ends_with(&secret[..*length]))
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

    #[test]
    fn what_is_cut_off_ends_before_the_beginning_of_a_secret() {
        let mask = Mask::new(&["s3cret-and-more".to_owned(), "s3cret".to_owned(), "abab".to_owned()]);
        let told = |text: &str| text[..mask.tellable(text.as_bytes())].to_owned();
        assert_eq!(told("key=s3cr"), "key=");
        assert_eq!(told("key=s3cret-and"), "key=");
        assert_eq!(told("key=abab"), "key=", "a whole one that begins anew at its end goes with it");
        assert_eq!(told("nothing of it"), "nothing of it");
        assert_eq!(Mask::default().tellable(b"nothing is secret"), 17);
    }
}
