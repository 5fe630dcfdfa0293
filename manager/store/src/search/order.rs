//! `field:ASC|DESC`, several of them joined by `|`.

use thiserror::Error;

use super::field::{Field, WorkflowField};

/// Most fields that one search is sorted by.
const SORT_FIELDS_MAX: usize = 8;

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The lowest first; what is not there comes before all.
    Ascending,
    /// The highest first.
    Descending,
}

/// One field to sort by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderBy<F> {
    /// Which.
    pub field: F,
    /// Which way.
    pub direction: Direction,
}

/// Why an order cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{found:?} is no order: expected {expected}")]
pub struct SortError {
    /// What was given.
    pub found: String,
    /// What was expected.
    pub expected: String,
}

/// Reads an order. Words may also be joined by commas; a field without a direction ascends.
///
/// # Errors
/// When a field or a direction is not known, or there are too many.
pub fn parse_order<F: Field>(text: &str) -> Result<Vec<OrderBy<F>>, SortError> {
    let mut order = Vec::new();
    let mut parts = text.split(['|', ',']).map(str::trim).filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        let (name, direction) = part.split_once(':').unwrap_or((part, "ASC"));
        let wrong = |expected: String| SortError { found: part.to_owned(), expected };
        let field = F::named(name.trim()).ok_or_else(|| wrong(format!("one of {}", F::names())))?;
        let direction = match direction.trim().to_ascii_uppercase().as_str() {
            "ASC" => Direction::Ascending,
            "DESC" => Direction::Descending,
            _ => return Err(wrong("ASC or DESC behind the colon".to_owned())),
        };
        order.push(OrderBy { field, direction });
        if order.len() == SORT_FIELDS_MAX && parts.peek().is_some() {
            return Err(wrong(format!("at most {SORT_FIELDS_MAX} fields")));
        }
    }
    Ok(order)
}

/// Which way workflows are shown by the time of their start; `None` when something else comes first. Workflows that started
/// in the same millisecond are told apart by who came first, so that nothing else is looked at.
pub(crate) fn by_start(order: &[OrderBy<WorkflowField>]) -> Option<Direction> {
    match order.first() {
        None => Some(Direction::Descending),
        Some(OrderBy { field: WorkflowField::StartTime, direction }) => Some(*direction),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_sorted_by_in_turn() {
        let order = parse_order::<WorkflowField>("status:ASC|startTime:desc|version").unwrap();
        let shown: Vec<_> = order.iter().map(|by| (by.field, by.direction)).collect();
        assert_eq!(
            shown,
            [
                (WorkflowField::Status, Direction::Ascending),
                (WorkflowField::StartTime, Direction::Descending),
                (WorkflowField::Version, Direction::Ascending),
            ]
        );
        assert_eq!(parse_order::<WorkflowField>("").unwrap(), []);
    }

    #[test]
    fn what_is_no_order_is_said() {
        assert!(parse_order::<WorkflowField>("colour:ASC").unwrap_err().to_string().contains("startTime"));
        assert!(parse_order::<WorkflowField>("status:UP").unwrap_err().to_string().contains("DESC"));
        assert!(parse_order::<WorkflowField>(&"status|".repeat(9)).is_err());
    }
}
