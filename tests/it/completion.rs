//! Completion of the ids in resource templates: what people type finds records, by the list tools and their rights.

use serde_json::{Value, json};

use crate::resources::{HANDSHAKE, STATELESS, asked, forbidden, whole};
use crate::support::Tester;
use crate::world::World;

fn completing(uri: &str, value: &str) -> Value {
    json!({"ref": {"type": "ref/resource", "uri": uri}, "argument": {"name": "id", "value": value}})
}

/// The result of a completion, the same in both generations.
pub async fn completed(tester: &Tester, params: Value) -> Value {
    let result = asked(tester, HANDSHAKE, "completion/complete", params.clone()).await.unwrap();
    let later = asked(tester, STATELESS, "completion/complete", params).await.unwrap();
    assert_eq!(later, whole(STATELESS, result.clone(), None));
    assert_eq!(result.as_object().unwrap().len(), 1);
    result["completion"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_completed_by_what_people_type() {
    let world = World::new().await;
    let owner = &world.owner;
    let found = |values: &[i64]| {
        let values: Vec<String> = values.iter().map(i64::to_string).collect();
        json!({"total": values.len(), "values": values, "hasMore": false})
    };
    let number = |record: &Value| record["num"].as_i64().unwrap();
    let company = owner.ok("company_list", json!({"q": "Meble Żółć"})).await["items"][0].clone();
    for typed in ["meble żółć", "ZOLC", "  zółc ", "Zolc"] {
        assert_eq!(
            completed(owner, completing("bureau://company/{id}", typed)).await,
            found(&[number(&company)]),
            "{typed}"
        );
    }
    let people = owner.ok("person_list", json!({"q": "wojcik"})).await["items"].clone();
    let people: Vec<i64> = people.as_array().unwrap().iter().map(number).collect();
    assert_eq!(people.len(), 2);
    for typed in ["Wójcik", "wojcik", "łuKASZ wój"] {
        assert_eq!(completed(owner, completing("bureau://person/{id}", typed)).await, found(&people), "{typed}");
    }
    // Nothing typed: the newest first. A number that is there comes first, one that is not does not.
    let contracts = owner.ok("contract_list", json!({})).await["items"].clone();
    let contracts: Vec<i64> = contracts.as_array().unwrap().iter().map(number).collect();
    assert_eq!(contracts, [2, 1]);
    for uri in ["bureau://contract/{id}", "bureau://contract_balance/{id}"] {
        assert_eq!(completed(owner, completing(uri, "")).await, found(&[2, 1]), "{uri}");
        // Its number, and a contract called K/1.
        assert_eq!(completed(owner, completing(uri, "1")).await, found(&[1]), "{uri}");
        assert_eq!(completed(owner, completing(uri, "k/2")).await, found(&[2]), "{uri}");
        assert_eq!(completed(owner, completing(uri, "777")).await, found(&[]), "{uri}");
    }
    owner
        .ok("contract_create", json!({"numer": "Z/1/2026", "typ": "szafa", "customer_id": world.ids["parties"][0]}))
        .await;
    assert_eq!(completed(owner, completing("bureau://contract/{id}", "2")).await, found(&[2, 3]));
    // A list without a search.
    let comment = owner.ok("task_comment_list", json!({})).await["items"][0].clone();
    let uri = "bureau://task_comment/{id}";
    assert_eq!(completed(owner, completing(uri, "")).await, found(&[number(&comment)]));
    let by_number = completed(owner, completing(uri, &number(&comment).to_string())).await;
    assert_eq!(by_number, json!({"values": [number(&comment).to_string()], "hasMore": false}));
    // More than fit.
    for index in 0..101 {
        owner.ok("tag_create", json!({"name": format!("Żaba {index}")})).await;
    }
    let many = completed(owner, completing("bureau://tag/{id}", "zaba")).await;
    assert_eq!(
        (many["values"].as_array().unwrap().len(), &many["total"], &many["hasMore"]),
        (100, &json!(101), &json!(true))
    );

    let tool = |value: &str| json!({"ref": {"type": "ref/resource", "uri": "bureau://tools/{name}"}, "argument": {"name": "name", "value": value}});
    let values = json!(["contract_settle"]);
    assert_eq!(completed(owner, tool("Settle")).await, json!({"values": values, "hasMore": false, "total": 1}));
    let values = json!([
        "task_create",
        "task_close",
        "task_comment_list",
        "task_comment_show",
        "task_comment_create",
        "task_comment_update",
        "task_comment_delete",
        "task_comment_solve"
    ]);
    assert_eq!(completed(owner, tool("task_c")).await, json!({"values": values, "hasMore": false, "total": 8}));
    let guest = owner.as_role("guest").await;
    assert_eq!(completed(&guest, tool("settle")).await, json!({"values": [], "hasMore": false, "total": 0}));
    assert_eq!(completed(owner, tool("")).await["hasMore"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_completions_are_refused() {
    let owner = Tester::new().await;
    let guest = owner.as_role("guest").await;
    let refused = async |tester: &Tester, params: Value| {
        asked(tester, STATELESS, "completion/complete", params).await.unwrap_err()
    };
    let wrong = |text: &str| json!({"code": -32602, "message": text});
    for uri in ["bureau://nothing/{id}", "bureau://task/1", "bureau://task", ""] {
        let text = format!("There is no resource template `{uri}`. resources/templates/list shows those there are.");
        assert_eq!(refused(&owner, completing(uri, "")).await, wrong(&text));
    }
    let mut params = completing("bureau://task/{id}", "");
    params["argument"]["name"] = json!("name");
    let text = "`name` is no argument of bureau://task/{id}; it has `id`";
    assert_eq!(refused(&owner, params).await, wrong(text));
    let params = json!({"ref": {"type": "ref/tool", "name": "me"}, "argument": {"name": "id", "value": ""}});
    let error = refused(&owner, params).await;
    assert_eq!(error["code"], -32602);
    assert!(
        error["message"].as_str().unwrap().starts_with("`params` of completion/complete: unknown variant `ref/tool`")
    );
    let why = "contract_show needs the right contracts.view, and you do not hold it. Ask an administrator, or see \
               permission_explain.";
    assert_eq!(refused(&guest, completing("bureau://contract/{id}", "")).await, forbidden(why, "contracts.view"));
}
