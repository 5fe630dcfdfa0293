//! Files under `/resources`.

use axum::body::Body;
use axum::http::header;
use bytes::Bytes;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{House, request};

const SITE: &str = "/resources/blobs/default_tenant/sites/site.tar.gz";

fn sha(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[tokio::test]
async fn a_file_is_put_read_replaced_and_removed() {
    let house = House::new();
    let stored = house.send("PUT", SITE, "first").await.expect(201).json();
    assert_eq!((stored["size_bytes"].as_u64(), stored["sha256"].as_str()), (Some(5), Some(sha(b"first").as_str())));
    let read = house.get(SITE).await.expect(200);
    assert_eq!((read.text(), read.header("x-checksum-sha256")), ("first".to_owned(), sha(b"first").as_str()));
    assert_eq!(read.header("etag"), format!("\"{}\"", sha(b"first")));
    house.send("PUT", SITE, "second!").await.expect(200);
    let head = house.send("HEAD", SITE, "").await.expect(200);
    assert_eq!((head.header("content-length"), head.header("x-checksum-sha256")), ("7", sha(b"second!").as_str()));
    assert!(head.body.is_empty());
    house.send("DELETE", SITE, "").await.expect(204);
    house.get(SITE).await.expect(404);
    house.send("DELETE", SITE, "").await.expect(404);
    let left = house.dir.path().join("files/files/blobs/default_tenant/sites");
    assert!(!left.exists(), "an empty folder goes with its last file");
}

#[tokio::test]
async fn a_caller_that_has_the_bytes_is_not_sent_them_again() {
    let house = House::new();
    house.send("PUT", SITE, "first").await.expect(201);
    let ask = request("GET", SITE).header(header::IF_NONE_MATCH, format!("W/\"x\", \"{}\"", sha(b"first")));
    let answer = house.raw(ask.body(Body::empty()).unwrap()).await.expect(304);
    assert!(answer.body.is_empty());
}

#[tokio::test]
async fn a_part_of_a_file_can_be_read() {
    let house = House::new();
    house.send("PUT", SITE, "0123456789").await.expect(201);
    let ask =
        async |range: &str| house.raw(request("GET", SITE).header(header::RANGE, range).body(Body::empty()).unwrap()).await;
    let middle = ask("bytes=2-4").await.expect(206);
    assert_eq!((middle.text().as_str(), middle.header("content-range")), ("234", "bytes 2-4/10"));
    assert_eq!(ask("bytes=-3").await.expect(206).text(), "789");
    assert_eq!(ask("bytes=20-").await.expect(416).json()["code"], "range-outside");
}

#[tokio::test]
async fn a_folder_is_listed() {
    let house = House::new();
    house.send("PUT", SITE, "x").await.expect(201);
    house.send("PUT", "/resources/blobs/default_tenant/sites/deep/f", "xy").await.expect(201);
    let listed = house.get("/resources/blobs/default_tenant/sites?list").await.expect(200).json();
    assert_eq!(
        listed["items"],
        json!([{ "name": "deep", "kind": "folder", "size_bytes": 0 }, { "name": "site.tar.gz", "kind": "file", "size_bytes": 1 }])
    );
}

#[tokio::test]
async fn bytes_with_another_digest_than_announced_are_refused() {
    let house = House::new();
    let put = request("PUT", SITE).header("x-checksum-sha256", sha(b"other")).body(Body::from("first")).unwrap();
    assert_eq!(house.raw(put).await.expect(400).json()["code"], "digest-mismatch");
    house.get(SITE).await.expect(404);
}

#[tokio::test]
async fn a_file_that_is_too_large_leaves_nothing() {
    let house = House::with(|settings| settings.limits.file_bytes = 10);
    house.send("PUT", SITE, "old").await.expect(201);
    assert_eq!(house.send("PUT", SITE, "x".repeat(11)).await.expect(413).json()["code"], "too-large");
    // Without an announced length, the limit is met while reading.
    let chunks = futures_util::stream::iter((0..5).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"12345"))));
    house.send("PUT", SITE, Body::from_stream(chunks)).await.expect(413);
    assert_eq!(house.get(SITE).await.expect(200).text(), "old");
    let left = std::fs::read_dir(house.dir.path().join("files/incoming")).unwrap().count();
    assert_eq!(left, 0, "nothing of a refused upload is left");
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_the_old_file() {
    let house = House::new();
    house.send("PUT", SITE, "old").await.expect(201);
    let broken = futures_util::stream::iter([Ok(Bytes::from_static(b"new")), Err(std::io::Error::other("line cut"))]);
    let answer = house.send("PUT", SITE, Body::from_stream(broken)).await.expect(400);
    assert_eq!(answer.json()["code"], "upload-broken-off");
    assert_eq!(house.get(SITE).await.expect(200).text(), "old");
}

#[tokio::test]
async fn a_file_and_a_folder_do_not_share_a_name() {
    let house = House::new();
    house.send("PUT", "/resources/blobs/default_tenant/a", "x").await.expect(201);
    assert_eq!(
        house.send("PUT", "/resources/blobs/default_tenant/a/b", "x").await.expect(409).json()["code"],
        "path-in-the-way"
    );
    house.send("PUT", "/resources/blobs/default_tenant/d/e", "x").await.expect(201);
    assert_eq!(house.send("PUT", "/resources/blobs/default_tenant/d", "x").await.expect(409).json()["code"], "path-in-the-way");
    house.get("/resources/blobs/default_tenant/d").await.expect(404);
}

#[tokio::test]
async fn no_path_leads_out() {
    let house = House::new();
    for path in ["%2e%2e/x", "a/%2e%2e/%2e%2e/x", "a%2f..%2fx", "a//x", "%00", "a/..%5cx", "x%0ay"] {
        let answer = house.send("PUT", &format!("/resources/blobs/default_tenant/{path}"), "x").await;
        assert_eq!((answer.status.as_u16(), answer.json()["code"].as_str()), (400, Some("path-invalid")), "{path}");
    }
    house.send("PUT", "/resources/%2e%2e/default_tenant/x", "x").await.expect(400);
    house.send("PUT", "/resources/blobs/other/x", "x").await.expect(403);
}

#[tokio::test]
async fn a_file_that_was_changed_behind_our_back_is_hashed_again() {
    let house = House::new();
    house.send("PUT", SITE, "first").await.expect(201);
    std::fs::write(house.dir.path().join("files/files/blobs/default_tenant/sites/site.tar.gz"), "mended").unwrap();
    assert_eq!(house.get(SITE).await.expect(200).header("x-checksum-sha256"), sha(b"mended"));
}
