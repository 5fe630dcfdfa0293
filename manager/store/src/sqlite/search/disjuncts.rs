//! An expression as alternatives, each a list of conditions that must all hold: what an index can be chosen for.

use crate::search::{Condition, Expr, Test, Value, WorkflowField};

/// Most alternatives; what would give more stays in one piece and is looked at row by row.
const ALTERNATIVES_MAX: usize = 16;

type Conditions = Vec<Expr<WorkflowField>>;

/// The alternatives. A row may match several.
pub(super) fn alternatives(expr: &Expr<WorkflowField>) -> Vec<Conditions> {
    split(&positive(expr, false))
}

/// The same with NOT only in front of single conditions, and with words that spell an id as either.
fn positive(expr: &Expr<WorkflowField>, negated: bool) -> Expr<WorkflowField> {
    let all = |list: &[Expr<WorkflowField>]| list.iter().map(|one| positive(one, negated)).collect();
    match (expr, negated) {
        (Expr::And(list), false) | (Expr::Or(list), true) => Expr::And(all(list)),
        (Expr::Or(list), false) | (Expr::And(list), true) => Expr::Or(all(list)),
        (Expr::Not(one), _) => positive(one, !negated),
        (Expr::Any, true) => Expr::Or(Vec::new()),
        (Expr::Words(words), false) => match words.as_id() {
            None => expr.clone(),
            Some(id) => {
                let test = Test::Is(vec![Value::Id(id)]);
                Expr::Or(vec![Expr::Field(Condition { field: WorkflowField::WorkflowId, test }), expr.clone()])
            }
        },
        (Expr::Any | Expr::Field(_), false) => expr.clone(),
        (Expr::Words(_) | Expr::Field(_), true) => Expr::Not(Box::new(expr.clone())),
    }
}

fn split(expr: &Expr<WorkflowField>) -> Vec<Conditions> {
    match expr {
        Expr::Any => vec![Vec::new()],
        Expr::Or(any) if !only_words(expr) => {
            let found: Vec<Conditions> = any.iter().flat_map(split).collect();
            if found.len() > ALTERNATIVES_MAX { vec![vec![expr.clone()]] } else { found }
        }
        Expr::And(all) => all.iter().fold(vec![Vec::new()], |so_far, one| {
            let more = split(one);
            if so_far.len() * more.len() > ALTERNATIVES_MAX {
                return so_far
                    .into_iter()
                    .map(|mut list| {
                        list.push(one.clone());
                        list
                    })
                    .collect();
            }
            so_far.iter().flat_map(|list| more.iter().map(move |other| [list.as_slice(), other.as_slice()].concat())).collect()
        }),
        Expr::Or(_) | Expr::Not(_) | Expr::Field(_) | Expr::Words(_) => vec![vec![expr.clone()]],
    }
}

/// Whether the full-text index answers it alone.
pub(super) fn only_words(expr: &Expr<WorkflowField>) -> bool {
    match expr {
        Expr::Words(_) => true,
        Expr::And(list) | Expr::Or(list) => !list.is_empty() && list.iter().all(only_words),
        Expr::Any | Expr::Not(_) | Expr::Field(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::parse_query;

    fn count(text: &str) -> Vec<usize> {
        alternatives(&parse_query(text).unwrap()).iter().map(Vec::len).collect()
    }

    #[test]
    fn alternatives_are_lists_of_conditions() {
        assert_eq!(count("*"), [0]);
        assert_eq!(count("version=1 AND status=FAILED"), [2]);
        assert_eq!(count("version=1 AND (status=FAILED OR correlationId=x)"), [2, 2]);
        assert_eq!(count("NOT (version=1 AND status=FAILED)"), [1, 1]);
        assert_eq!(count("status=FAILED AND (alice OR bob)"), [2], "words stay together");
        assert_eq!(count("01234567-89ab-7def-8000-000000000001"), [1, 1]);
    }

    #[test]
    fn alternatives_do_not_multiply_without_bound() {
        let pair = "(version=1 OR priority=2)";
        let found = alternatives(&parse_query(&[pair; 10].join(" AND ")).unwrap());
        assert_eq!(found.len(), ALTERNATIVES_MAX);
        assert!(found.iter().all(|list| list.len() == 10));
    }
}
