//! An error with everything behind it, on one line.

use std::error::Error;
use std::fmt;

/// Shows `error` and its sources as `a: b: c`. Errors here never repeat their source in their own text.
#[must_use]
pub fn report<'a>(error: &'a (dyn Error + 'static)) -> Report<'a> {
    Report(error)
}

/// See [`report`].
#[derive(Clone, Copy, Debug)]
pub struct Report<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot start")]
    struct Outer(#[source] Middle);

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open the store")]
    struct Middle(#[source] std::io::Error);

    #[test]
    fn the_whole_chain_is_shown() {
        let error = Outer(Middle(std::io::Error::other("disk is full")));
        assert_eq!(report(&error).to_string(), "cannot start: cannot open the store: disk is full");
    }
}
