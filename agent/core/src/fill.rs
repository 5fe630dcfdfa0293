//! How much goes into one message to the manager.

use conductor_model::limits::{MESSAGE_BYTES_MAX, MESSAGE_ITEMS_MAX};

/// Bytes kept free for what stands around the items of a message.
const FRAME_BYTES: usize = 1024;

/// Counts how much fits into one message.
#[derive(Debug, Default)]
pub struct Fill {
    items: usize,
    bytes: usize,
}

impl Fill {
    /// Whether one more item fits; if so it counts. The first always does.
    pub fn take(&mut self, bytes: usize) -> bool {
        let fits = self.items == 0 || (self.items < MESSAGE_ITEMS_MAX && self.bytes + bytes < MESSAGE_BYTES_MAX - FRAME_BYTES);
        if fits {
            self.items += 1;
            self.bytes += bytes + 1;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_ends_before_its_limits() {
        let mut fill = Fill::default();
        assert!(fill.take(MESSAGE_BYTES_MAX * 2), "one that is too large goes alone");
        assert!(!fill.take(1));
        let mut fill = Fill::default();
        assert_eq!((0..1000).take_while(|_| fill.take(10)).count(), MESSAGE_ITEMS_MAX);
    }
}
