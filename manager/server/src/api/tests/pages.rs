//! What needs no token: health, numbers, documentation.

use axum::body::Body;
use axum::http::Request;

use super::{Answer, House};

async fn public(house: &House, path: &str) -> Answer {
    house.raw(Request::get(path).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn health_says_that_the_broker_is_missing_and_answers_all_the_same() {
    let house = House::new();
    for path in ["/health", "/api/health"] {
        let health = public(&house, path).await.expect(200).json();
        assert_eq!(health["healthy"], false);
        assert_eq!(health["healthResults"][0]["details"]["name"], "store");
        assert_eq!(health["healthResults"][0]["healthy"], true);
        assert_eq!(health["healthResults"][1]["healthy"], false);
        assert_eq!(health["suppressedHealthResults"].as_array().unwrap().len(), 0);
    }
}

#[tokio::test]
async fn every_route_is_described() {
    let house = House::new();
    let document = public(&house, "/api/openapi.json").await.expect(200).json();
    let paths = document["paths"].as_object().unwrap();
    for path in [
        "/api/metadata/taskdefs",
        "/api/workflow",
        "/api/workflow/{id}",
        "/api/tasks/poll/batch/{type}",
        "/api/tasks/update-v2",
        "/api/v1/agents/{id}",
        "/api/v1/plugins",
        "/api/v1/events",
        "/api/v3.1/node-instances/{id}",
        "/resources/{area}/{tenant}/{path}",
        "/health",
        "/metrics",
    ] {
        assert!(paths.contains_key(path), "{path} is not described; there are {:?}", paths.keys());
    }
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path} has no summary");
            assert!(operation["tags"][0].is_string(), "{method} {path} has no tag");
        }
    }
}

#[tokio::test]
async fn the_documentation_comes_whole_from_the_manager() {
    let house = House::new();
    let page = public(&house, "/docs/").await.expect(200).text();
    assert!(page.contains("swagger-ui"), "{page}");
    assert!(!page.contains("https://"), "nothing is fetched from elsewhere: {page}");
    public(&house, "/docs/swagger-ui-bundle.js").await.expect(200);
    assert!(public(&house, "/").await.expect(200).text().contains("/docs/"));
}

#[tokio::test]
async fn pages_are_also_where_conductor_has_them() {
    let house = House::new();
    let described = public(&house, "/api-docs").await.expect(200).json();
    assert_eq!(described, public(&house, "/api/openapi.json").await.expect(200).json());
    for path in ["/swagger-ui", "/swagger-ui/", "/swagger-ui/index.html"] {
        assert_eq!(public(&house, path).await.expect(307).header("location"), "/docs/");
    }
    assert!(public(&house, "/actuator/prometheus").await.expect(200).text().contains("conductor_decisions_total"));
    assert_eq!(house.get("/api/queue/").await.expect(200).json(), house.get("/api/queue").await.expect(200).json());
    public(&house, "/api/queue/").await.expect(401);
}

#[tokio::test]
async fn requests_are_counted_by_route() {
    let house = House::new();
    house.get("/api/workflow/00000000-0000-0000-0000-000000000000").await.expect(404);
    let numbers = public(&house, "/metrics").await.expect(200).text();
    assert!(
        numbers.contains(r#"conductor_http_requests_total{method="GET",route="/api/workflow/{id}",status="404"} 1"#),
        "{numbers}"
    );
    assert!(numbers.contains("conductor_decisions_total"), "the deciding thread counts into the same registry: {numbers}");
}

#[tokio::test]
async fn answers_name_their_request() {
    let house = House::new();
    assert_eq!(public(&house, "/health").await.header("x-request-id").len(), 36);
    let request = Request::get("/health").header("x-request-id", "mine-1").body(Body::empty()).unwrap();
    assert_eq!(house.raw(request).await.header("x-request-id"), "mine-1");
}

#[tokio::test]
async fn unknown_routes_and_methods_are_told_in_json() {
    let house = House::new();
    let unknown = house.get("/api/nothing/of/the/kind").await.expect(404).json();
    assert_eq!((unknown["status"].as_u64(), unknown["retryable"].as_bool()), (Some(404), Some(false)));
    let own = house.get("/api/v1/nothing").await.expect(404);
    assert_eq!(own.header("content-type"), "application/problem+json");
    let wrong = house.send("PATCH", "/api/workflow", "{}").await.expect(405);
    assert_eq!(wrong.json()["code"], "method-not-allowed");
}
