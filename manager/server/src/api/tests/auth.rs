//! Who may ask.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use super::{House, TOKEN, request};

#[tokio::test]
async fn without_a_token_each_door_says_so_in_its_own_form() {
    let house = House::new();
    let ask = async |path: &str| house.raw(Request::get(path).body(Body::empty()).unwrap()).await.expect(401);
    let conductor = ask("/api/workflow/search").await;
    assert_eq!(conductor.json()["status"], 401);
    assert_eq!(conductor.json()["error"], "INVALID_TOKEN", "SDKs fetch a new token when they read this");
    assert_eq!(ask("/api/v3.1/node-instances").await.json()["error_code"], "unauthorized_error");
    let own = ask("/api/v1/agents").await;
    assert_eq!(own.header("content-type"), "application/problem+json");
    assert_eq!(own.json()["code"], "unauthenticated");
    assert!(own.json()["hint"].as_str().unwrap().contains("Bearer"));
    assert_eq!(own.header("www-authenticate"), "Bearer");
    ask("/resources/blobs/default_tenant/x").await;
    ask("/api/no/such/route").await;
}

#[tokio::test]
async fn a_wrong_token_is_refused() {
    let house = House::new();
    let request = Request::get("/api/v1/agents").header("authorization", "Bearer nonsense").body(Body::empty()).unwrap();
    assert_eq!(house.raw(request).await.expect(401).json()["detail"], "the token is not valid");
}

#[tokio::test]
async fn each_doors_clients_send_the_token_their_way() {
    let house = House::new();
    for (name, value) in [("X-Authorization", TOKEN.to_owned()), ("Authentication-Token", TOKEN.to_owned())] {
        let request = Request::get("/api/v1/version").header(name, value).body(Body::empty()).unwrap();
        house.raw(request).await.expect(200);
    }
}

#[tokio::test]
async fn a_tenant_header_must_be_the_tokens_tenant() {
    let house = House::new();
    let ask = async |tenant: &str| {
        house.raw(request("GET", "/api/v3.1/node-instances").header("Tenant", tenant).body(Body::empty()).unwrap()).await
    };
    ask("default_tenant").await.expect(200);
    assert_eq!(ask("other").await.expect(403).json()["error_code"], "forbidden_error");
}

#[tokio::test]
async fn an_sdk_exchanges_its_secret_for_a_token() {
    let house = House::new();
    let ask = async |secret: &str| {
        let body = json!({ "keyId": "any", "keySecret": secret }).to_string();
        house.raw(Request::post("/api/token").body(body.into()).unwrap()).await
    };
    assert_eq!(ask(TOKEN).await.expect(200).json()["token"], TOKEN);
    ask("wrong").await.expect(401);
}

#[tokio::test]
async fn tenants_do_not_see_each_others_work() {
    let house = House::new();
    house.define_chain("private", &["t"]).await;
    let id = house.start("private").await;
    let ask = async |path: &str| {
        house.raw(Request::get(path).header("authorization", "Bearer cdt_other").body(Body::empty()).unwrap()).await
    };
    ask(&format!("/api/workflow/{id}")).await.expect(404);
    ask("/api/metadata/workflow/private").await.expect(404);
    assert_eq!(ask("/api/workflow/search").await.expect(200).json()["totalHits"], 0);
    ask("/api/tasks/poll/t").await.expect(204);
    ask("/resources/blobs/default_tenant/x").await.expect(403);
}
