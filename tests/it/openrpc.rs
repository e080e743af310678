//! The description of plain JSON-RPC, against the meta-schema of OpenRPC.

use serde_json::{Value, json};

use crate::process::Serving;
use crate::support::TestDatabase;

const OPENRPC: &str = include_str!("openrpc/openrpc.json");
const JSON_SCHEMA: &str = include_str!("openrpc/json_schema.json");

/// The meta-schema of OpenRPC, with the one it refers to for schemas.
fn validator() -> jsonschema::Validator {
    let json_schema: Value = serde_json::from_str(JSON_SCHEMA).unwrap();
    let openrpc: Value = serde_json::from_str(OPENRPC).unwrap();
    // Both name a dialect of their own, which says the same as draft 7.
    let plain = |mut schema: Value| {
        schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
        schema
    };
    let registry = jsonschema::Registry::new()
        .add("https://meta.json-schema.tools/", plain(json_schema.clone()))
        .unwrap()
        // It is referred to without the slash too.
        .add("https://meta.json-schema.tools", plain(json_schema))
        .unwrap()
        .prepare()
        .unwrap();
    jsonschema::options().with_draft(jsonschema::Draft::Draft7).with_registry(&registry).build(&plain(openrpc)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_of_every_method_is_valid_openrpc() {
    let database = TestDatabase::new().await;
    let serving = Serving::on_new(&database).await;
    let mut connection = serving.connect().await;
    let ask = r#"{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}"#;
    let answer = connection.post("/rpc", &serving.token, ask).await.unwrap().json();
    let document = &answer["result"];
    let validator = validator();
    let faults: Vec<String> =
        validator.iter_errors(document).take(5).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert_eq!(faults, Vec::<String>::new());
    // It would notice.
    for (pointer, wrong) in [
        ("/methods/0/params", json!("none")),
        ("/methods/0/result/schema", json!({"type": "number?"})),
        ("/servers/0", json!({"name": "no address"})),
        ("/components/errors/conflict/code", json!("409")),
    ] {
        let mut broken = document.clone();
        *broken.pointer_mut(pointer).unwrap() = wrong;
        assert!(!validator.is_valid(&broken), "{pointer}");
    }

    let methods = document["methods"].as_array().unwrap();
    let names: Vec<&str> = methods.iter().map(|method| method["name"].as_str().unwrap()).collect();
    let unique: std::collections::BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(unique.len(), names.len());
    let tools = bureau::catalog::registry().unwrap();
    let mut expected: Vec<&str> = tools.entries().iter().map(|entry| entry.tool.name).collect();
    expected.extend(["changes_subscribe", "changes_unsubscribe"]);
    assert_eq!(names, expected);
    // Every reference leads somewhere.
    let mut references = Vec::new();
    for method in methods {
        for part in [&method["tags"], &method["errors"]] {
            references.extend(part.as_array().unwrap().iter().map(|one| one["$ref"].as_str().unwrap().to_owned()));
        }
    }
    assert!(references.len() > 10 * methods.len() - 1);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}
