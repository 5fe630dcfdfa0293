//! `/api/openapi.json`, the page at `/docs` that shows it without a network, and the page at `/`.

use axum::response::{Html, Redirect};
use axum::routing::get;
use axum::{Json, Router};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi as Document, RefOr, Response};
use utoipa::{Modify, OpenApi};
use utoipa_swagger_ui::SwaggerUi;

use super::state::ApiState;

/// The frame of the description; routes add themselves.
#[derive(Debug, OpenApi)]
#[openapi(
    info(
        title = "Conductor",
        description = "Runs work on hosts. `/api/{metadata,workflow,tasks}` speaks to Conductor SDKs, `/api/v3.1` to Cloudify \
                       clients, `/api/v1` is our own. Times are milliseconds since 1970 unless said otherwise.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    security(("bearer" = []), ("x-authorization" = []), ("authentication-token" = [])),
    modifiers(&Tokens),
    tags(
        (name = "metadata", description = "Task and workflow definitions (Conductor)"),
        (name = "workflows", description = "Runs of workflow definitions (Conductor)"),
        (name = "bulk", description = "One command on many workflows (Conductor)"),
        (name = "tasks", description = "Polling workers, updates and logs (Conductor)"),
        (name = "event handlers", description = "What to do when a message comes (Conductor)"),
        (name = "secrets", description = "Values that tasks get when they are handed over (Conductor)"),
        (name = "agents", description = "Agents and what they fetch and report"),
        (name = "plugins", description = "Plugins that agents run"),
        (name = "events", description = "What happens, as it happens"),
        (name = "node-instances", description = "Hosts and their runtime properties (Cloudify)"),
        (name = "files", description = "Files that workflows use"),
        (name = "operation", description = "Health, numbers, versions, tokens"),
    )
)]
pub(super) struct Frame;

struct Tokens;

impl Modify for Tokens {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_with(Default::default);
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("An API token")).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        for (name, header) in [("x-authorization", "X-Authorization"), ("authentication-token", "Authentication-Token")] {
            let key = ApiKeyValue::with_description(header, "An API token");
            components.add_security_scheme(name, SecurityScheme::ApiKey(ApiKey::Header(key)));
        }
    }
}

const START_PAGE: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Conductor</title>\
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem;color:#222}\
a{color:#0645ad}code{background:#f2f2f2;padding:.1rem .3rem}</style>\
<h1>Conductor</h1><p>This is a Conductor manager. It runs work on hosts.</p><ul>\
<li><a href=/docs/>API documentation</a> (<a href=/api/openapi.json>OpenAPI</a>)</li>\
<li><a href=/health>Health</a></li><li><a href=/metrics>Metrics</a></li></ul>\
<p>Requests need a token: <code>Authorization: Bearer TOKEN</code>.</p></html>";

/// Adds the answers that any request may get, so that no route has to say them.
fn add_common_answers(document: &mut Document) {
    for (path, item) in &mut document.paths.paths {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch, &mut item.head];
        for operation in operations.into_iter().flatten() {
            let mut add = |status: &str, description: &str| {
                let responses = &mut operation.responses.responses;
                responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(Response::new(description)));
            };
            if !path.starts_with("/api/") && !path.starts_with("/resources/") {
                continue;
            }
            add("400", "The request cannot be read: the message says what is wrong and where");
            add("401", "No valid token");
            add("413", "The request is larger than it may be");
            add("503", "Cannot be done now; try again in a moment");
            if path.contains('{') {
                add("404", "There is none");
            }
        }
    }
}

/// The pages. They need no token.
pub(super) fn pages(mut document: Document) -> Router<ApiState> {
    // OpenAPI has no word for a parameter that spans several segments.
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths = paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    add_common_answers(&mut document);
    let described = document.clone();
    let to_docs = || async { Redirect::temporary("/docs/") };
    Router::new()
        .route("/", get(|| async { Html(START_PAGE) }))
        // Where Conductor has them.
        .route("/api-docs", get(|| async { Json(described) }))
        .route("/swagger-ui", get(to_docs))
        .route("/swagger-ui/", get(to_docs))
        .route("/swagger-ui/index.html", get(to_docs))
        .merge(SwaggerUi::new("/docs").url("/api/openapi.json", document))
}
