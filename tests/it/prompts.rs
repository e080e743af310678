//! The workflows as prompts: offered to whoever may use their tools, in three languages, with checked arguments.

use bureau::prompts::{LANGUAGES, PROMPTS, Prompt, Values};
use bureau_kit::gate::Selection;
use serde_json::{Value, json};

use crate::completion::completed;
use crate::resources::{HANDSHAKE, STATELESS, asked, forbidden, whole};
use crate::support::Tester;
use crate::world::World;

/// Tools by prompt and choice, as a newcomer should find them in the texts.
const TOOLS: &[(&str, &str, &[&str])] = &[
    (
        "merge_duplicates",
        "person",
        &["duplicate_list", "person_list", "person_show", "person_update", "person_merge", "action_undo"],
    ),
    (
        "merge_duplicates",
        "company",
        &["duplicate_list", "company_list", "company_show", "company_update", "client_merge", "action_undo"],
    ),
    ("merge_duplicates", "tag", &["tag_list", "tag_show", "tag_merge", "action_undo"]),
    (
        "settle_contract",
        "",
        &[
            "contract_show",
            "contract_list",
            "contract_balance_show",
            "contract_valuation_summary",
            "contract_payment_method_list",
            "contract_payment_method_update",
            "contract_payment_method_create",
            "contract_settle",
            "action_undo",
        ],
    ),
    ("plan_week", "", &["task_list", "task_show", "batch_call", "task_update", "task_create", "action_undo"]),
    ("explain_changes", "", &["action_log_list", "action_undo", "action_redo"]),
    (
        "onboard_user",
        "",
        &[
            "user_list",
            "role_list",
            "team_list",
            "user_create",
            "user_show",
            "permission_explain",
            "user_update",
            "action_undo",
        ],
    ),
    ("review_token", "", &["session_list", "tool_search", "permission_explain", "session_create", "session_revoke"]),
];

/// Words that a safe workflow says at least once.
const CARE: &[(&str, &[&str])] = &[
    ("merge_duplicates", &["dry_run", "expected_version", "idempotency_key", "undo_token"]),
    ("settle_contract", &["dry_run", "expected_version", "idempotency_key", "undo_token"]),
    ("plan_week", &["dry_run", "expected_version", "idempotency_key", "undo_token"]),
    ("explain_changes", &["dry_run", "idempotency_key", "undo_token"]),
    ("onboard_user", &["dry_run", "expected_version", "idempotency_key", "undo_token"]),
    ("review_token", &["dry_run", "idempotency_key", "undo_token"]),
];

fn in_language(values: &Values, language: &str) -> Values {
    let mut values = values.clone();
    values.insert("language", language.to_owned());
    values
}

/// Every argument given, so that every conditional line of one side shows; and none, for the other side.
fn fullest(prompt: &Prompt, values: &Values) -> Values {
    let mut values = values.clone();
    for argument in prompt.arguments() {
        values.entry(argument.name).or_insert_with(|| "7".to_owned());
    }
    values
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tool_named_in_a_prompt_exists_and_all_languages_name_the_same() {
    let owner = Tester::new().await;
    let registry = &owner.bureau.registry;
    let principal = owner.bureau.principal(&owner.shown).await.unwrap();
    let mut seen = Vec::new();
    for prompt in PROMPTS {
        for variant in prompt.variants() {
            let choice = variant.values().next().map(String::as_str).unwrap_or_default();
            let expected = TOOLS.iter().find(|(name, kind, _)| (*name, *kind) == (prompt.name, choice));
            let expected = expected.unwrap_or_else(|| panic!("{} {choice} is not written down here", prompt.name)).2;
            let care = CARE.iter().find(|(name, _)| *name == prompt.name).unwrap().1;
            for (language, values) in LANGUAGES
                .iter()
                .flat_map(|language| [(language, variant.clone()), (language, fullest(prompt, &variant))])
            {
                let values = in_language(&values, language);
                let text = prompt.text(&values);
                for word in text.split('`').skip(1).step_by(2) {
                    let entry =
                        registry.find(word).unwrap_or_else(|| panic!("{}.{language}: no tool {word}", prompt.name));
                    assert_eq!(entry.tool.name, word, "an alias in {}.{language}", prompt.name);
                    assert!(owner.bureau.admits(&principal, &owner.selection, entry));
                }
                let tools: Vec<&str> = prompt
                    .tools(&values, registry)
                    .iter()
                    .map(|entry| entry.tool.name)
                    .filter(|name| *name != "user_list" || prompt.name == "onboard_user")
                    .collect();
                assert_eq!(tools, expected, "{}.{language} {values:?}", prompt.name);
                for word in care {
                    assert!(text.contains(word), "{}.{language} does not say {word}", prompt.name);
                }
                assert!(!text.contains("[if") && !text.contains("[unless"), "{text}");
            }
            let [english, polish, ukrainian] =
                ["en", "pl", "uk"].map(|language| prompt.text(&in_language(&fullest(prompt, &variant), language)));
            assert_eq!(
                (english.lines().count(), polish.lines().count()),
                (ukrainian.lines().count(), ukrainian.lines().count())
            );
            assert!(english.is_ascii(), "{}", prompt.name);
            assert!("ąęłśż".chars().all(|letter| polish.contains(letter)), "{}", prompt.name);
            assert!(
                ukrainian.contains('і') && ukrainian.contains(['ї', 'є']) && !ukrainian.contains(['ы', 'э', 'ё', 'ъ']),
                "{}",
                prompt.name
            );
            seen.push((prompt.name, choice.to_owned()));
        }
    }
    assert_eq!(seen.len(), TOOLS.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn prompts_are_listed_to_whoever_may_use_their_tools() {
    let owner = Tester::new().await;
    let settle = json!({
        "name": "settle_contract", "title": "Settle a contract",
        "description": "Check valuation, payments and balance of a contract, clear up what is open, and settle it. (pl: Rozlicz \
                        umowę. uk: Розрахувати договір.)",
        "arguments": [
            {"name": "contract", "description": "The contract: number, UUID, or words that find it.", "required": true},
            {"name": "language", "description": "Language of the text: en, pl or uk; en when left out.", "required": false},
        ],
    });
    for stateless in [HANDSHAKE, STATELESS] {
        let listed = asked(&owner, stateless, "prompts/list", json!({})).await.unwrap();
        assert_eq!(listed["prompts"][1], settle);
        assert_eq!(listed, whole(stateless, json!({"prompts": listed["prompts"]}), Some(300_000)));
    }
    let names = async |tester: &Tester| {
        let listed = asked(tester, HANDSHAKE, "prompts/list", json!({})).await.unwrap();
        let names: Vec<String> = listed["prompts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|prompt| prompt["name"].as_str().unwrap().to_owned())
            .collect();
        names
    };
    let narrowed = async |limits: Value| {
        let minted = owner.ok("session_create", limits).await;
        owner.with_token(minted["session_token"].as_str().unwrap())
    };
    let all = ["merge_duplicates", "settle_contract", "plan_week", "explain_changes", "onboard_user", "review_token"];
    assert_eq!(names(&owner).await, all);
    assert_eq!(names(&owner.as_role("guest").await).await, ["review_token"]);
    assert_eq!(
        names(&owner.as_role("user").await).await,
        ["merge_duplicates", "plan_week", "explain_changes", "review_token"]
    );
    assert_eq!(names(&narrowed(json!({"read_only": true})).await).await, [""; 0]);
    assert_eq!(
        names(&narrowed(json!({"toolsets": ["contracts", "audit"]})).await).await,
        ["settle_contract", "explain_changes"]
    );
    let mut here = owner.clone();
    here.selection = Selection::reading();
    assert_eq!(names(&here).await, [""; 0]);

    let get = async |tester: &Tester, name: &str, arguments: Value| {
        asked(tester, STATELESS, "prompts/get", json!({"name": name, "arguments": arguments})).await
    };
    let guest = owner.as_role("guest").await;
    let why = "contract_show needs the right contracts.view, and you do not hold it. Ask an administrator, or see \
               permission_explain.";
    // Before the arguments are looked at.
    assert_eq!(get(&guest, "settle_contract", json!({"nonsense": 1})).await, Err(forbidden(why, "contracts.view")));
    let params = json!({"ref": {"type": "ref/prompt", "name": "settle_contract"}, "argument": {"name": "contract", "value": ""}});
    assert_eq!(asked(&guest, STATELESS, "completion/complete", params).await, Err(forbidden(why, "contracts.view")));
    // One of its ways is open, another is not.
    let people = narrowed(json!({"toolsets": ["crm", "audit"]})).await;
    assert_eq!(names(&people).await, ["merge_duplicates", "explain_changes"]);
    get(&people, "merge_duplicates", json!({"kind": "person"})).await.unwrap();
    let why = "tag_list is of the toolset tags, which your token leaves out.";
    assert_eq!(get(&people, "merge_duplicates", json!({"kind": "tag"})).await, Err(forbidden(why, "toolset tags")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_is_the_text_with_the_record_it_names() {
    let world = World::new().await;
    let owner = &world.owner;
    let contract = owner.ok("contract_show", json!({"id": "1"})).await;
    let record = |uri: &str| {
        json!({"role": "user", "content": {"type": "resource", "resource": {
            "uri": uri, "mimeType": "application/json", "text": contract.to_string(),
        }}})
    };
    for stateless in [HANDSHAKE, STATELESS] {
        for (language, title, begins) in [
            (
                "en",
                "Settle a contract",
                "Settle the contract 1: close its books, so that afterwards only its notes can change.\n\n1. Find. Call `contract_show`",
            ),
            (
                "pl",
                "Rozlicz umowę",
                "Rozlicz umowę 1: zamknij jej rozliczenia, tak by potem można było zmieniać tylko uwagi.\n\n1. Znajdź. Wywołaj `contract_show`",
            ),
            (
                "uk",
                "Розрахувати договір",
                "Розрахуй договір 1: закрий його розрахунки, щоб потім можна було змінювати лише примітки.\n\n1. Знайди. Виклич `contract_show`",
            ),
        ] {
            for number in [json!("1"), json!(1)] {
                let params =
                    json!({"name": "settle_contract", "arguments": {"contract": number, "language": language}});
                let got = asked(owner, stateless, "prompts/get", params).await.unwrap();
                let text = got["messages"][0]["content"]["text"].as_str().unwrap();
                assert!(text.starts_with(begins), "{text}");
                assert!(text.lines().count() == 10 && text.contains("\n8. "), "{text}");
                let prompt = json!({"role": "user", "content": {"type": "text", "text": text}});
                let expected = json!({"description": title, "messages": [prompt, record("bureau://contract/1")]});
                assert_eq!(got, whole(stateless, expected, None));
            }
        }
    }
    let messages = async |tester: &Tester, name: &str, arguments: Value| {
        let got = asked(tester, HANDSHAKE, "prompts/get", json!({"name": name, "arguments": arguments})).await;
        got.unwrap_or_else(|error| panic!("{name} {arguments}: {error}"))["messages"].as_array().unwrap().clone()
    };
    let by_id = messages(owner, "settle_contract", json!({"contract": contract["id"]})).await;
    assert_eq!(by_id[1], record(&format!("bureau://contract/{}", contract["id"].as_str().unwrap())));
    // Words, and numbers that are nobody's, are passed on alone.
    let other = World::of(owner.other_tenant().await).await;
    let foreign = other.owner.ok("contract_show", json!({"id": "1"})).await["id"].clone();
    for words in [json!("Wójcik, kuchnia"), json!("4711"), foreign] {
        let messages = messages(owner, "settle_contract", json!({"contract": words})).await;
        assert_eq!(messages.len(), 1);
        let expected = format!("Settle the contract {}: close", words.as_str().unwrap());
        assert!(messages[0]["content"]["text"].as_str().unwrap().starts_with(&expected));
    }
    // What is left out has its usual value, and its lines.
    let text = async |name: &str, arguments: Value| {
        messages(owner, name, arguments).await[0]["content"]["text"].as_str().unwrap().to_owned()
    };
    let week = text("plan_week", json!({"user": ""})).await;
    assert!(
        week.starts_with(
            "Plan the week from Monday to Sunday that holds the day 2026-11-21, for me.\n\n1. Who. Below give \"me\""
        ),
        "{week}"
    );
    let week = text("plan_week", json!({"user": "2", "day": "30.11.2026"})).await;
    assert!(
        week.starts_with(
            "Plan the week from Monday to Sunday that holds the day 2026-11-30, for the user 2.\n\n1. Who. Call"
        ),
        "{week}"
    );
    assert_eq!(messages(owner, "plan_week", json!({"user": 2})).await.len(), 2);
    let changes = text("explain_changes", json!({"day": "2026-11-20", "language": "uk"})).await;
    assert!(changes.contains("after 2026-11-20T00:00:00Z"), "{changes}");
    let merge = text("merge_duplicates", json!({"name": "{kind} Żółć"})).await;
    assert!(merge.contains("\nLook only for: {kind} Żółć.\n"), "{merge}");
    assert!(text("review_token", json!({"session": "1"})).await.starts_with("Review what the session token 1 may do"));
    assert!(
        text("onboard_user", json!({"email": "ola@example.com", "role": "sprzedawca"}))
            .await
            .contains("\nRole: sprzedawca.\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_arguments_are_named_with_what_is_accepted() {
    let owner = Tester::new().await;
    let long = "ż".repeat(1001);
    for (name, arguments, text) in [
        ("settle", json!({}), "There is no prompt `settle`. prompts/list shows those there are."),
        (
            "settle_contract",
            json!({}),
            "The prompt settle_contract needs `contract`. The contract: number, UUID, or words that find it.",
        ),
        (
            "settle_contract",
            json!({"contract": " "}),
            "The prompt settle_contract needs `contract`. The contract: number, UUID, or words that find it.",
        ),
        ("settle_contract", json!({"contract": {"id": 1}}), "`contract` must be text."),
        (
            "settle_contract",
            json!({"contract": "1", "id": "1"}),
            "`id` is no argument of the prompt settle_contract. It takes: contract, language.",
        ),
        (
            "settle_contract",
            json!({"contract": "1", "language": "de"}),
            "`language` must be one of en, pl, uk; `de` is none of them.",
        ),
        ("settle_contract", json!({"contract": long}), "`contract` may have 1000 characters at most."),
        (
            "merge_duplicates",
            json!({"kind": "user"}),
            "`kind` must be one of person, company, tag; `user` is none of them.",
        ),
        ("plan_week", json!({"day": "soon"}), "`day`: `soon` is not a date; write it like 2026-11-21."),
    ] {
        for stateless in [HANDSHAKE, STATELESS] {
            let params = json!({"name": name, "arguments": arguments});
            let answer = asked(&owner, stateless, "prompts/get", params).await;
            assert_eq!(answer, Err(json!({"code": -32602, "message": text})), "{name} {arguments}");
        }
    }
    let answer = asked(&owner, HANDSHAKE, "prompts/get", json!({"name": "review_token"})).await;
    answer.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_are_completed() {
    let world = World::new().await;
    let owner = &world.owner;
    let complete = |prompt: &str, argument: &str, value: &str| json!({"ref": {"type": "ref/prompt", "name": prompt}, "argument": {"name": argument, "value": value}});
    let user = owner.ok("user_list", json!({"q": "mazur"})).await["items"][0]["num"].to_string();
    let session = owner.ok("session_list", json!({})).await["items"][0]["num"].to_string();
    for (prompt, argument, value, values) in [
        ("merge_duplicates", "language", "", json!(["en", "pl", "uk"])),
        ("settle_contract", "language", "P", json!(["pl"])),
        ("merge_duplicates", "kind", "co", json!(["company"])),
        ("merge_duplicates", "name", "x", json!([])),
        ("settle_contract", "contract", "k/1", json!(["1"])),
        ("settle_contract", "contract", "", json!(["2", "1"])),
        ("plan_week", "user", "Mązur", json!([user])),
        ("plan_week", "day", "2026", json!(["2026-11-21"])),
        ("plan_week", "day", "2027", json!([])),
        ("onboard_user", "role", "sprze", json!(["Sprzedawca"])),
        ("onboard_user", "role", "inviter", json!(["CRM Inviter"])),
    ] {
        let found = completed(owner, complete(prompt, argument, value)).await;
        let total = found.get("total").and_then(Value::as_u64).unwrap_or(0);
        assert_eq!(found["values"], values, "{prompt} {argument} {value}");
        assert_eq!((found["hasMore"].clone(), total), (json!(false), values.as_array().unwrap().len() as u64));
    }
    let found = completed(owner, complete("review_token", "session", &session)).await;
    assert!(found["values"].as_array().unwrap().contains(&json!(session)), "{found}");
    let refused = async |params: Value| asked(owner, HANDSHAKE, "completion/complete", params).await.unwrap_err();
    let text = "`id` is no argument of the prompt plan_week. It takes: user, day, language.";
    assert_eq!(refused(complete("plan_week", "id", "")).await, json!({"code": -32602, "message": text}));
    let text = "There is no prompt `plan`. prompts/list shows those there are.";
    assert_eq!(refused(complete("plan", "id", "")).await, json!({"code": -32602, "message": text}));
}
