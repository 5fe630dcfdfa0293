//! The event stream.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use futures_util::StreamExt;
use serde_json::Value;

use super::{House, request};

/// A reader of an event stream.
struct Reader {
    body: axum::body::BodyDataStream,
    text: String,
}

/// One event as a client reads it.
#[derive(Clone, Debug, PartialEq)]
struct Event {
    id: u64,
    name: String,
    data: Value,
}

impl Reader {
    fn new(response: Response) -> Self {
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// The next event; `None` at the stream's end.
    async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                if let (Some(id), Some(name), Some(data)) = (field("id:"), field("event:"), field("data:")) {
                    return Some(Event {
                        id: id.parse().unwrap(),
                        name: name.to_owned(),
                        data: serde_json::from_str(data).unwrap(),
                    });
                }
            }
            let chunk = tokio::time::timeout(Duration::from_secs(10), self.body.next()).await.expect("no event came")?;
            self.text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
    }

    async fn until_data(&mut self, key: &str, value: &str) -> Event {
        loop {
            let event = self.next().await.expect("the stream ended");
            if event.data[key] == value {
                return event;
            }
        }
    }

    async fn until(&mut self, name: &str) -> Vec<Event> {
        let mut seen = Vec::new();
        loop {
            let event = self.next().await.expect("the stream ended");
            let is_last = event.name == name;
            seen.push(event);
            if is_last {
                return seen;
            }
        }
    }
}

#[tokio::test]
async fn a_listener_hears_what_happens_from_now_on() {
    let house = House::new();
    house.define_chain("w", &["t"]).await;
    house.start("w").await;
    let mut reader = Reader::new(house.open("/api/v1/events").await);
    let second = house.start("w").await;
    // What was stored just before may still be on its way to those who listen.
    let heard = reader.until_data("workflow_id", &second).await;
    assert_eq!(heard.name, "workflow.started");
    assert!(heard.id > 2, "what was before is not told again: {heard:?}");
}

#[tokio::test]
async fn a_reader_that_comes_back_misses_nothing_and_reads_nothing_twice() {
    let house = House::new();
    house.define_chain("w", &["t"]).await;
    let mut all = Reader::new(house.open("/api/v1/events?after=0").await);
    for _ in 0..20 {
        house.start("w").await;
    }
    let mut seen: Vec<u64> = Vec::new();
    while seen.len() < 15 {
        seen.push(all.next().await.unwrap().id);
    }
    drop(all);
    let resume = request("GET", "/api/v1/events?after=0").header("Last-Event-ID", seen[14]).body(Body::empty()).unwrap();
    let mut rest = Reader::new(tower::ServiceExt::oneshot(house.router.clone(), resume).await.unwrap());
    for _ in 0..20 {
        house.start("w").await;
    }
    let last = house.app.read(|store| store.feed(&conductor_model::TenantName::default_tenant(), 0, 10_000)).await.unwrap();
    while seen.len() < last.len() {
        seen.push(rest.next().await.unwrap().id);
    }
    assert_eq!(seen, last.iter().map(|entry| entry.id).collect::<Vec<_>>());
}

#[tokio::test]
async fn one_workflow_alone_can_be_heard() {
    let house = House::new();
    house.define_chain("w", &["t"]).await;
    house.start("w").await;
    let wanted = house.start("w").await;
    house.start("w").await;
    let mut reader = Reader::new(house.open(&format!("/api/v1/events?after=0&workflow_id={wanted}")).await);
    house.send("DELETE", &format!("/api/workflow/{wanted}"), "").await.expect(200);
    for event in reader.until("workflow.terminated").await {
        assert_eq!(event.data["workflow_id"], wanted.as_str(), "{event:?}");
    }
}

#[tokio::test]
async fn what_is_kept_can_be_read_without_waiting_for_more() {
    let house = House::new();
    house.define_chain("w", &["t"]).await;
    let id = house.start("w").await;
    let mut reader = Reader::new(house.open("/api/v1/events?follow=false").await);
    let mut last = None;
    while let Some(event) = reader.next().await {
        assert!(last.is_some() || event.name == "workflow.started", "it begins with the first: {event:?}");
        assert_eq!(event.data["workflow_id"], id.as_str());
        last = Some(event.id);
    }
    let last = last.expect("there are events");
    let rest = house.get(&format!("/api/v1/events?follow=False&after={last}")).await.expect(200);
    assert_eq!(rest.text(), "");
    house.get("/api/v1/events?follow=perhaps").await.expect(400);
}

#[tokio::test]
async fn a_listener_that_is_too_slow_reads_on_from_the_store() {
    let house = House::new();
    house.define_chain("w", &["t"]).await;
    let mut reader = Reader::new(house.open("/api/v1/events").await);
    let first = house.start("w").await;
    assert_eq!(reader.next().await.unwrap().data["workflow_id"], first.as_str());
    // More entries than the live feed keeps for a listener that does not read.
    let mut starts = futures_util::stream::iter((0..2_500).map(|_| house.start("w"))).buffer_unordered(64);
    while starts.next().await.is_some() {}
    drop(starts);
    let stored = house.app.read(|store| store.feed(&conductor_model::TenantName::default_tenant(), 0, 100_000)).await.unwrap();
    assert!(stored.len() > 4_096 + 2, "{}", stored.len());
    for expected in stored.iter().skip(1) {
        assert_eq!(reader.next().await.unwrap().id, expected.id);
    }
}

#[tokio::test]
async fn another_tenants_events_are_not_heard() {
    let house = House::new();
    house.define_chain("w", &["t"]).await;
    let ask = axum::http::Request::get("/api/v1/events?after=0").header("authorization", "Bearer cdt_other");
    let response = tower::ServiceExt::oneshot(house.router.clone(), ask.body(Body::empty()).unwrap()).await.unwrap();
    let mut reader = Reader::new(response);
    house.start("w").await;
    house.shutdown.send(true).unwrap();
    assert_eq!(reader.next().await, None);
}

#[tokio::test]
async fn streams_end_when_the_manager_does() {
    let house = House::new();
    let mut reader = Reader::new(house.open("/api/v1/events?after=0").await);
    house.shutdown.send(true).unwrap();
    assert_eq!(reader.next().await, None);
}

#[tokio::test]
async fn listeners_are_bounded() {
    let house = House::with(|settings| settings.limits.feed_listeners = 1);
    let first = house.open("/api/v1/events").await;
    assert_eq!(house.get("/api/v1/events").await.expect(503).json()["code"], "too-many-listeners");
    drop(first);
    assert_eq!(house.open("/api/v1/events").await.status(), 200, "a place that is left is free again");
}

#[tokio::test]
async fn a_wrong_place_to_resume_is_refused() {
    let house = House::new();
    house.get("/api/v1/events?after=yesterday").await.expect(400);
    house.get("/api/v1/events?workflow_id=7").await.expect(400);
    let resume = request("GET", "/api/v1/events").header("Last-Event-ID", "x").body(Body::empty()).unwrap();
    assert_eq!(house.raw(resume).await.expect(400).json()["code"], "event-id-invalid");
}
