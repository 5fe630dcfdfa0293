//! The bill of materials of a package, in CycloneDX's JSON: every crate that its program is built from.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::cargo::ask;

/// Writes `NAME.cdx.json` into `folder`.
pub fn write(name: &str, folder: &Path) -> Result<(), String> {
    let metadata = ask(&["metadata", "--format-version", "1"])?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|error| format!("cargo metadata is not JSON: {error}"))?;
    let sbom = bill(&metadata, name).ok_or_else(|| format!("cargo metadata does not tell what {name} is built from"))?;
    let path = folder.join(format!("{name}.cdx.json"));
    let text = format!("{sbom:#}\n");
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, text))
        .map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

fn bill(metadata: &Value, name: &str) -> Option<Value> {
    let packages: HashMap<&str, &Value> =
        metadata["packages"].as_array()?.iter().filter_map(|package| Some((package["id"].as_str()?, package))).collect();
    let nodes: HashMap<&str, &Value> =
        metadata["resolve"]["nodes"].as_array()?.iter().filter_map(|node| Some((node["id"].as_str()?, node))).collect();
    let root = packages.iter().find(|(_, package)| package["name"] == name && package["source"].is_null())?.0;
    let mut found = BTreeSet::new();
    let mut open = vec![*root];
    while let Some(id) = open.pop() {
        if found.insert(id) {
            open.extend(
                nodes.get(id)?["deps"]
                    .as_array()?
                    .iter()
                    .filter(|dependency| is_built_in(dependency))
                    .filter_map(|dependency| dependency["pkg"].as_str()),
            );
        }
    }
    found.remove(root);
    let components: Vec<Value> =
        found.iter().filter_map(|id| packages.get(id)).map(|package| component(package, "library")).collect();
    Some(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": component(packages.get(root)?, "application")},
        "components": components,
    }))
}

/// Whether the crate ends up in the program: not those that only tests or build scripts use.
fn is_built_in(dependency: &Value) -> bool {
    dependency["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
}

fn component(package: &Value, kind: &str) -> Value {
    let (name, version) = (package["name"].as_str().unwrap_or_default(), package["version"].as_str().unwrap_or_default());
    let mut component = json!({
        "type": kind,
        "name": name,
        "version": version,
        "purl": format!("pkg:cargo/{name}@{version}"),
    });
    if let Some(licence) = package["license"].as_str() {
        // Some still write a slash for "or".
        component["licenses"] = json!([{"expression": licence.replace('/', " OR ")}]);
    }
    component
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_in_is_listed_and_what_only_tests_use_is_not() {
        let package = |id: &str, name: &str, source: Value| json!({"id": id, "name": name, "version": "1.0.0", "license": "MIT/Apache-2.0", "source": source});
        let uses = |pkg: &str, kind: Value| json!({"pkg": pkg, "dep_kinds": [{"kind": kind}]});
        let metadata = json!({
            "packages": [package("a", "ours", Value::Null), package("b", "used", json!("r")), package("c", "tester", json!("r"))],
            "resolve": {"nodes": [
                {"id": "a", "deps": [uses("b", Value::Null), uses("c", json!("dev"))]},
                {"id": "b", "deps": []},
                {"id": "c", "deps": []},
            ]},
        });
        let bill = bill(&metadata, "ours").unwrap();
        assert_eq!(bill["metadata"]["component"]["name"], "ours");
        assert_eq!(bill["components"].as_array().unwrap().len(), 1);
        assert_eq!(bill["components"][0]["purl"], "pkg:cargo/used@1.0.0");
        assert_eq!(bill["components"][0]["licenses"][0]["expression"], "MIT OR Apache-2.0");
    }
}
