//! What all searches have in common: their parameters, and their answer.

use conductor_store::search::{Expr, Field, Search, parse_free_text, parse_order, parse_query};
use serde::Serialize;

use crate::api::ApiError;
use crate::api::extract::Params;
use crate::api::limits::{OFFSET_MAX, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX};

/// Conductor's SearchResult.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SearchResult<T> {
    pub(super) total_hits: u64,
    pub(super) results: Vec<T>,
}

/// The search that a request asks for. `queryId` and `skipCache`, which SDKs send, mean nothing here.
pub(super) fn search<F: Field>(params: &Params) -> Result<Search<F>, ApiError> {
    if let Some(classifier) = params.text("classifier") {
        let message = format!("classifier is {classifier:?}, but there are no classes of {}", F::OF);
        return Err(ApiError::bad_request("query-unsupported", message).hint("leave it out"));
    }
    let order = parse_order(params.text("sort").unwrap_or_default())
        .map_err(|error| ApiError::bad_request("sort-unsupported", format!("sort: {error}")))?;
    Ok(Search {
        matching: matching(params)?,
        order,
        offset: params.number("start", 0, OFFSET_MAX)? as u64,
        limit: params.number("size", PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX)?,
    })
}

/// What the parameters `query` and `freeText` let through.
pub(super) fn matching<F: Field>(params: &Params) -> Result<Expr<F>, ApiError> {
    let invalid = |parameter: &str, error: conductor_store::search::QueryError| {
        ApiError::bad_request("query-invalid", format!("{parameter}, {error}"))
            .hint("write as in workflowType='x' AND status IN (RUNNING,FAILED) AND (startTime>1700000000000 OR order*)")
    };
    let query = parse_query(params.text("query").unwrap_or_default()).map_err(|error| invalid("query", error))?;
    let words = parse_free_text(params.text("freeText").unwrap_or_default()).map_err(|error| invalid("freeText", error))?;
    Ok(query.and(words))
}

#[cfg(test)]
mod tests {
    use conductor_store::search::{TaskField, WorkflowField};

    use super::*;
    use crate::api::extract::params;

    #[test]
    fn what_is_asked_for_is_put_together() {
        let asked = params(&[("query", "status=FAILED"), ("freeText", "alice"), ("start", "20"), ("sort", "endTime:ASC")]);
        let search = search::<WorkflowField>(&asked).unwrap();
        assert_eq!((search.offset, search.limit, search.order.len()), (20, 100, 1));
        assert_eq!(search.matching.to_string(), r#"(status IN ('FAILED')) AND ("alice")"#);
        let all = matching::<TaskField>(&params(&[("freeText", "*"), ("queryId", "x")])).unwrap();
        assert_eq!(all, Expr::Any);
    }

    #[test]
    fn a_wrong_search_is_told_with_its_place() {
        for (name, value, code, says) in [
            ("query", "status=SLEEPING", "query-invalid", "query, at character 8"),
            ("freeText", "\"open", "query-invalid", "freeText, at character 1"),
            ("sort", "colour:ASC", "sort-unsupported", "startTime"),
            ("classifier", "agent", "query-unsupported", "agent"),
            ("size", "90000", "query-invalid", "5000"),
        ] {
            let error = search::<WorkflowField>(&params(&[(name, value)])).unwrap_err();
            assert_eq!(error.code, code);
            assert!(error.message.contains(says), "{}", error.message);
        }
    }
}
