//! How hosts join: the script and the packages it fetches.

use axum::body::Body;
use axum::http::Request;

use super::House;

fn without_token(path: &str) -> Request<Body> {
    Request::builder().uri(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_host_without_a_token_gets_script_and_package() {
    let house = House::new();
    let folder = house.dir.path().join("packages");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("conductor-agent.deb"), "a package").unwrap();
    let script = house.raw(without_token("/install")).await.expect(200).text();
    assert!(script.starts_with("#!/bin/sh\n") && script.contains("/packages/"), "{script}");
    let package = house.raw(without_token("/packages/conductor-agent.deb")).await.expect(200);
    assert_eq!((package.text(), package.header("content-length")), ("a package".to_owned(), "9"));
}

#[tokio::test]
async fn nothing_else_is_given_away() {
    let house = House::new();
    let folder = house.dir.path().join("packages");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("note.txt"), "no package").unwrap();
    std::fs::write(house.dir.path().join("secret.deb"), "no package either").unwrap();
    for path in ["/packages/none.deb", "/packages/note.txt", "/packages/..%2Fsecret.deb", "/packages/%2Fetc%2Fpasswd"] {
        let answer = house.raw(without_token(path)).await.expect(404);
        assert_eq!(answer.json()["code"], "package-not-found", "{path}");
    }
}
