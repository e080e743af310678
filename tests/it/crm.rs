//! People, companies, tags and contacts: their rules, with whole answers and whole error texts.

use bureau_crm::{Activity, Address, Deal, DealParty, Note};
use bureau_kit::id::Kind as _;
use bureau_kit::record::Values;
use bureau_kit::table::Table;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Tester, difference};

fn uuid(value: &Value) -> Uuid {
    value.as_str().unwrap().parse().unwrap()
}

/// Takes out what differs from run to run.
fn plain(mut answer: Value, names: &[&str]) -> Value {
    for name in names {
        assert!(answer.as_object_mut().unwrap().shift_remove(*name).is_some(), "{name} is missing: {answer}");
    }
    answer
}

fn ids(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

/// A row of a table that has no tools of its own yet.
async fn row(tester: &Tester, table: &'static Table, values: Values) -> Uuid {
    let stored = tester.bureau.as_system(tester.tenant_id, None, "test", move |ctx| {
        Box::pin(async move { Ok(ctx.insert(table, values).await?.id) })
    });
    stored.await.unwrap()
}

async fn deal(tester: &Tester, title: &str, parties: &[&Value]) -> Uuid {
    let deal = row(tester, Deal::TABLE, Values::new().with("title", title)).await;
    for party in parties {
        let values = Values::new()
            .with("deal_id", deal)
            .with("party_id", uuid(&party["id"]))
            .with("role", party["kind"].as_str().unwrap());
        row(tester, DealParty::TABLE, values).await;
    }
    deal
}

fn about(party: &Value) -> Values {
    Values::new().with("subject_type", "party").with("subject_id", uuid(&party["id"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_added_changed_and_replaced() {
    let t = Tester::new().await;
    let company = t.ok("company_create", json!({"name": " Meble Żółć "})).await;
    assert_eq!(company["name"], "Meble Żółć");
    let vip = t.ok("tag_create", json!({"name": "VIP"})).await;
    let person = t
        .ok(
            "person_create",
            json!({
                "firstName": "Anna Maria", "lastName": "Nowak", "primary_email": "Anna@Example.com", "emails": ["a@x.pl"],
                "contact_numbers": [{"label": "work", "value": "+48 1"}], "job_title": "Projektantka",
                "organization": company["id"], "metadata": {"source": "fair"}, "unique_id": "A-1", "tags": [vip["id"]],
            }),
        )
        .await;
    let expected = json!({
        "num": 2, "kind": "person", "name": "Anna Maria Nowak", "display_name": "Anna Maria Nowak",
        "first_name": "Anna Maria", "middle_name": null, "last_name": "Nowak", "job_title": "Projektantka",
        "primary_email": "Anna@Example.com", "emails": ["a@x.pl"], "primary_phone": null,
        "contact_numbers": [{"label": "work", "value": "+48 1"}], "organization": company["id"], "owner": null,
        "platform_user": null, "merged_into": null, "lifecycle_stage": "lead", "status": null, "source": null,
        "unique_id": "A-1", "nip": null, "pesel": null, "preferred_name": null, "department": null, "seniority": null, "timezone": null,
        "linked_in_url": null, "twitter_url": null, "description": null, "address": {}, "metadata": {"source": "fair"},
        "tags": [{"id": vip["id"], "num": 1, "name": "VIP", "slug": "vip", "color": "#888888"}],
        "active": true, "is_contact": false, "is_client": false, "next_interaction": null, "version": 1,
        "created_at": "2026-11-21T10:00:00Z", "updated_at": "2026-11-21T10:00:00Z",
    });
    assert_eq!(plain(person.clone(), &["id", "undo_token", "organization_id"]), expected);

    // Parts and whole follow each other while they say the same.
    let id = &person["id"];
    let changed =
        t.ok("person_update", json!({"id": id, "last_name": "Kowalska", "lifecycle_stage": "customer"})).await;
    assert_eq!((&changed["name"], &changed["lifecycle_stage"]), (&json!("Anna Maria Kowalska"), &json!("customer")));
    let changed = t.ok("person_update", json!({"id": id, "name": "Ania Zielińska"})).await;
    assert_eq!((&changed["first_name"], &changed["last_name"]), (&json!("Ania"), &json!("Zielińska")));
    let same = t.ok("person_update", json!({"id": id, "metadata": {"source": "fair"}})).await;
    assert_eq!((&same["version"], same.get("undo_token")), (&changed["version"], None));
    assert_eq!(t.ok("person_update", json!({"id": id, "primary_email": null})).await["primary_email"], Value::Null);

    let replaced = t.ok("person_replace", json!({"id": id, "name": "Ewa Król"})).await;
    for (field, value) in [
        ("name", json!("Ewa Król")),
        ("last_name", json!("Król")),
        ("emails", json!([])),
        ("job_title", json!("")),
        ("organization", Value::Null),
        ("lifecycle_stage", json!("lead")),
        ("unique_id", json!("")),
        ("metadata", json!({})),
        ("active", json!(true)),
    ] {
        assert_eq!(replaced[field], value, "{field}");
    }
    assert_eq!(replaced["tags"][0]["name"], "VIP");
    assert_eq!(t.ok("person_list", json!({"metadata__has_key": "source"})).await["total"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_arguments_of_people_are_told_all_at_once() {
    let t = Tester::new().await;
    let nobody = "019a0000-0000-7000-8000-000000000001";
    let person = t.ok("person_create", json!({"name": "Ewa", "unique_id": "E"})).await;
    let error = t
        .err(
            "person_create",
            json!({"first_name": "Jan", "organization": nobody, "owner": 99, "status": "x".repeat(101), "tags": [7]}),
        )
        .await;
    assert_eq!(
        error["message"],
        format!(
            "/name: is required; give name, or first_name and last_name; \
             /organization: there is no company {nobody}; use company_list to find it; \
             /status: is longer than 100 characters; \
             /owner: there is no active user 99; use user_list to find one; \
             /tags/0: there is no tag 7; use tag_list to find it, or tag_create"
        )
    );
    // A person is no company, and no company a person.
    let error = t.err("person_create", json!({"name": "Jan", "organization": person["id"]})).await;
    assert_eq!(error["fields"][0]["path"], "/organization");
    let error = t.err("company_show", json!({"id": person["num"]})).await;
    assert_eq!(
        error,
        json!({"code": "not_found", "message": "There is no company 1. Use company_list to find the right id."})
    );
    let error = t.err("person_create", json!({"name": "Jan", "unique_id": "E"})).await;
    assert_eq!(error["message"], "/unique_id: another record already has the unique_id E");
    t.ok("person_create", json!({"name": "Jan", "unique_id": ""})).await;
    let error = t.err("person_create", json!({"name": "Jan", "primary_email": "jan"})).await;
    assert_eq!((&error["code"], &error["fields"][0]["path"]), (&json!("validation"), &json!("/primary_email")));
    let error = t.err("person_list", json!({"lifecycle_stage": "friend"})).await;
    assert_eq!(error["fields"][0]["path"], "/lifecycle_stage");
}

#[tokio::test(flavor = "multi_thread")]
async fn company_names_are_unique_and_a_deletion_keeps_people_and_deals() {
    let t = Tester::new().await;
    let company = t.ok("company_create", json!({"name": "Meble", "metadata": {"a": 1}})).await;
    for name in ["Meble", " Meble "] {
        let error = t.err("company_create", json!({"name": name})).await;
        assert_eq!(
            error["message"],
            "/name: there is already a company called Meble; find it with company_list, or choose another name"
        );
    }
    assert_eq!(t.err("company_create", json!({"name": "  "})).await["message"], "/name: must not be blank");
    let other = t.ok("company_create", json!({"name": "MEBLE"})).await;
    assert_eq!(t.err("company_update", json!({"id": other["id"], "name": "Meble"})).await["code"], "validation");
    t.ok("company_update", json!({"id": company["id"], "name": "Meble", "status": "ok"})).await;
    t.other_tenant().await.ok("company_create", json!({"name": "Meble"})).await;

    let person = t.ok("person_create", json!({"name": "Ewa Król", "organization": company["num"]})).await;
    let deal = deal(&t, "Kuchnia", &[&company, &person]).await;
    let shown = t.ok("company_show", json!({"id": company["id"], "include": ["people", "deals"]})).await;
    assert_eq!(shown["related"]["people"][0]["display_name"], "Ewa Król");
    assert_eq!(shown["related"]["deals"][0]["id"], json!(deal));
    let before = t.dump().await;
    let deleted = t.ok("company_delete", json!({"id": company["id"]})).await;
    let person = t.ok("person_show", json!({"id": person["id"], "include": ["deals"]})).await;
    assert_eq!(person["organization"], Value::Null);
    assert_eq!(person["related"]["deals"][0]["title"], "Kuchnia");
    t.ok("action_undo", json!({"undo_token": deleted["undo_token"]})).await;
    assert_eq!(difference(&before, &t.dump().await), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_found_by_every_filter() {
    let t = Tester::new().await;
    let company = t.ok("company_create", json!({"name": "Meble"})).await;
    let owner =
        t.ok("user_create", json!({"email": "opiekun@example.com", "first_name": "Jan", "last_name": "Opiekun"})).await;
    let vip = t.ok("tag_create", json!({"name": "VIP"})).await;
    t.ok("person_create", json!({"name": "Łukasz Żak", "primary_email": "Zak@Example.com", "organization": company["id"], "tags": [vip["id"]]})).await;
    t.ok("person_create", json!({"name": "Anna Nowak", "owner": owner["id"], "metadata": {"vip": false, "a": {"deep": 1}}, "lifecycle_stage": "customer"})).await;
    t.ok("person_create", json!({"name": "ewa Król", "active": false, "status": "cold", "source": "fair"})).await;
    let all = ["ewa Król", "Anna Nowak", "Łukasz Żak"];
    for (filter, expected) in [
        (json!({}), &all[..]),
        (json!({"q": "lukasz"}), &["Łukasz Żak"]),
        (json!({"search": "ZAK@example"}), &["Łukasz Żak"]),
        (json!({"email": "zak@EXAMPLE.com"}), &["Łukasz Żak"]),
        (json!({"organization": company["num"]}), &["Łukasz Żak"]),
        (json!({"owner": owner["id"]}), &["Anna Nowak"]),
        (json!({"owner": 9999}), &[]),
        (json!({"tags": [vip["num"]]}), &["Łukasz Żak"]),
        (json!({"tags": [vip["id"], 9999]}), &["Łukasz Żak"]),
        (json!({"tags": []}), &all),
        (json!({"lifecycle_stage": "customer"}), &["Anna Nowak"]),
        (json!({"metadata_has_key": "vip"}), &["Anna Nowak"]),
        (json!({"metadata__has_key": "deep"}), &[]),
        (json!({"active": true}), &["Anna Nowak", "Łukasz Żak"]),
        (json!({"status": "cold", "source": "fair"}), &["ewa Król"]),
        (json!({"created_at__gte": "2026-11-21T10:00:00Z"}), &all),
        (json!({"created_at_to": "2026-11-20"}), &[]),
        (json!({"sort": "name"}), &["Anna Nowak", "ewa Król", "Łukasz Żak"]),
        (json!({"sort": "name", "order": "desc", "page_size": 1, "page": 3}), &["Anna Nowak"]),
    ] {
        let page = t.ok("person_list", filter.clone()).await;
        assert_eq!(ids(&page), expected, "{filter}");
    }
    let page = t.ok("person_list", json!({"page_size": 2})).await;
    assert_eq!(
        plain(page, &["items"]),
        json!({"total": 3, "total_is_exact": true, "page": 1, "page_size": 2, "total_pages": 2})
    );
    assert_eq!(ids(&t.ok("company_list", json!({"name": "EBL"})).await), ["Meble"]);
    assert_eq!(t.err("person_list", json!({"page_size": 101})).await["fields"][0]["path"], "/page_size");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_person_leaves_what_belongs_to_deals() {
    let t = Tester::new().await;
    let person = t
        .ok(
            "person_create",
            json!({"name": "Ewa Król", "tags": [t.ok("tag_create", json!({"name": "x"})).await["id"]]}),
        )
        .await;
    let deal = deal(&t, "Kuchnia", &[&person]).await;
    let call = about(&person).with("activity_type", "call");
    row(&t, Activity::TABLE, call.clone().with("deal_id", deal)).await;
    row(&t, Activity::TABLE, call).await;
    row(&t, Note::TABLE, about(&person).with("body", "x")).await;
    row(&t, Address::TABLE, about(&person).with("address_line1", "Długa 1")).await;
    let shown = t
        .ok(
            "person_show",
            json!({"id": person["id"], "include": ["activities", "notes", "addresses", "attachments", "deals"]}),
        )
        .await;
    let counts = ["activities", "comments", "addresses", "attachments", "deals"]
        .map(|name| shown["related"][name].as_array().unwrap().len());
    assert_eq!(counts, [2, 1, 1, 0, 1]);
    let before = t.dump().await;
    let deleted = t.ok("person_delete", json!({"id": person["id"]})).await;
    assert_eq!(plain(deleted.clone(), &["undo_token"]), json!({"ok": true, "id": person["id"]}));
    let after = t.dump().await;
    let count = |table: &str| after.lines().filter(|line| line.starts_with(&format!("{table} "))).count();
    assert_eq!(
        ["deals", "activities", "notes", "addresses", "tag_links", "deal_parties"].map(count),
        [1, 1, 0, 0, 0, 0]
    );
    assert_eq!(
        t.err("person_show", json!({"id": person["num"]})).await["message"],
        "There is no person 1. Use person_list to find the right id."
    );
    t.ok("action_undo", json!({"undo_token": deleted["undo_token"]})).await;
    assert_eq!(difference(&before, &t.dump().await), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_moves_everything_once_and_undo_puts_it_back() {
    let t = Tester::new().await;
    let vip = t.ok("tag_create", json!({"name": "VIP"})).await;
    let old = t.ok("tag_create", json!({"name": "old"})).await;
    let primary = t
        .ok("person_create", json!({"name": "Ewa Król", "tags": [vip["id"]], "primary_email": "ewa@example.com"}))
        .await;
    let one = t.ok("person_create", json!({"name": "Ewa K.", "tags": [vip["id"], old["id"]], "primary_email": "EWA@example.com", "metadata": {"a": 1}})).await;
    assert_eq!(one["possible_duplicates"], json!([primary["id"]]));
    let two = t.ok("person_create", json!({"name": "E. Król", "tags": [old["id"]]})).await;
    let earlier = t.ok("person_create", json!({"name": "Król"})).await;
    t.ok("person_merge", json!({"primary_id": two["id"], "duplicate_ids": [earlier["id"]]})).await;
    deal(&t, "both", &[&primary, &one]).await;
    deal(&t, "second", &[&two]).await;
    row(&t, Activity::TABLE, about(&one).with("activity_type", "call")).await;
    row(&t, Note::TABLE, about(&two).with("body", "x")).await;
    row(&t, Address::TABLE, about(&two).with("address_line1", "Długa 1")).await;

    let before = t.dump().await;
    let input = json!({"primary_id": primary["id"], "duplicate_ids": [two["num"], one["id"], one["id"]]});
    let merged = t.ok("person_merge", input.clone()).await;
    let expected = json!({
        "primary_id": primary["id"], "merged_ids": [two["id"], one["id"]],
        "reparented": {"activities": 1, "addresses": 1, "deals": 2, "notes": 1, "tags": 3},
    });
    assert_eq!(plain(merged.clone(), &["undo_token"]), expected);
    let shown = t.ok("person_show", json!({"id": primary["id"], "include": ["deals", "activities"]})).await;
    let names = |list: &Value, field: &str| {
        list.as_array().unwrap().iter().map(|item| item[field].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&shown["tags"], "name"), ["old", "VIP"]);
    assert_eq!(names(&shown["related"]["deals"], "title"), ["second", "both"]);
    for (gone, into) in [(&one, &primary), (&two, &primary), (&earlier, &primary)] {
        let gone = t.ok("person_show", json!({"id": gone["id"]})).await;
        assert_eq!((&gone["active"], &gone["merged_into"], &gone["tags"]), (&json!(false), &into["id"], &json!([])));
    }
    // A merged person keeps what it says of itself, and references to it mean the primary.
    assert_eq!(ids(&t.ok("person_list", json!({"metadata_has_key": "a"})).await), ["Ewa K."]);
    let assigned = t.err("tag_assign", json!({"tag_id": vip["id"], "subject_id": one["id"]})).await;
    assert_eq!(assigned["code"], "conflict");
    let error = t.err("person_update", json!({"id": one["id"], "active": true})).await;
    assert_eq!(
        error["message"],
        format!(
            "This person was merged into {} and cannot be active again. Change that one, or undo the merge.",
            primary["id"].as_str().unwrap()
        )
    );

    let again = t.ok("person_merge", input).await;
    assert_eq!(again["reparented"], json!({"activities": 0, "deals": 0, "tags": 0}));
    assert_eq!(again.get("undo_token"), None);
    t.ok("action_undo", json!({"undo_token": merged["undo_token"]})).await;
    assert_eq!(difference(&before, &t.dump().await), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_merges_are_refused() {
    let t = Tester::new().await;
    let (one, two) =
        (t.ok("person_create", json!({"name": "A"})).await, t.ok("person_create", json!({"name": "B"})).await);
    let three = t.ok("person_create", json!({"name": "C"})).await;
    let company = t.ok("company_create", json!({"name": "D"})).await;
    let foreign = t.other_tenant().await.ok("person_create", json!({"name": "E"})).await;
    let merge = |primary: &Value, duplicates: Value| json!({"primary_id": primary, "duplicate_ids": duplicates});
    let error = t.err("person_merge", merge(&json!(99), json!([one["id"]]))).await;
    assert_eq!(
        error,
        json!({"code": "not_found", "message": "There is no person 99. Use person_list to find the right id."})
    );
    let error = t.err("person_merge", merge(&one["id"], json!([two["id"], one["num"]]))).await;
    assert_eq!(error["message"], "/duplicate_ids/1: a person cannot be merged into itself; leave the primary out");
    for wrong in [&foreign["id"], &company["id"]] {
        let error = t.err("person_merge", merge(&one["id"], json!([wrong]))).await;
        assert_eq!(
            error["message"],
            format!("/duplicate_ids/0: there is no person {}; use person_list to find it", wrong.as_str().unwrap())
        );
    }
    assert_eq!(
        t.err("person_merge", merge(&one["id"], json!([]))).await["message"],
        "/duplicate_ids: expected 1 to 100 people, got 0"
    );
    t.ok("person_merge", merge(&one["id"], json!([two["id"]]))).await;
    let error = t.err("person_merge", merge(&two["id"], json!([three["id"]]))).await;
    assert_eq!((&error["code"], &error["details"]["merged_into"]), (&json!("impossible_state"), &one["id"]));
    let error = t.err("person_merge", merge(&three["id"], json!([two["id"]]))).await;
    assert_eq!((&error["code"], &error["details"]["merged_into"]), (&json!("conflict"), &one["id"]));
    let error = t
        .err("person_merge", json!({"primary_id": one["id"], "duplicate_ids": [three["id"]], "expected_version": 7}))
        .await;
    assert_eq!(error["details"]["current_version"], 1);
}

/// Two merges of the same people at once: one after the other, whatever the order, and no deadlock.
#[tokio::test(flavor = "multi_thread")]
async fn merges_at_once_end_in_one_primary() {
    let t = Tester::new().await;
    let (one, two) =
        (t.ok("person_create", json!({"name": "A"})).await, t.ok("person_create", json!({"name": "B"})).await);
    let merge = |primary: &Value, duplicate: &Value| {
        t.call_raw("person_merge", json!({"primary_id": primary["id"], "duplicate_ids": [duplicate["id"]]}))
    };
    let (first, second) = tokio::join!(tokio::spawn(merge(&one, &two)), tokio::spawn(merge(&two, &one)));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!([first.1, second.1].iter().filter(|failed| **failed).count(), 1, "{first:?} {second:?}");
    assert_eq!(t.ok("person_list", json!({"active": true})).await["total"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_becomes_a_user_by_link() {
    let t = Tester::new().await;
    let person = t.ok("person_create", json!({"name": "Ewa Król"})).await;
    let user = t.ok("user_create", json!({"email": "ewa@example.com", "first_name": "Ewa", "last_name": "Król"})).await;
    let other = t.ok("user_create", json!({"email": "jan@example.com", "first_name": "Jan", "last_name": "Mak"})).await;
    let link = |user: &Value| json!({"id": person["id"], "user_id": user});
    let error = t.err("person_link_user", link(&json!(99))).await;
    assert_eq!(
        error,
        json!({"code": "not_found", "message": "There is no user 99. Use user_list to find the right id."})
    );
    t.ok("user_block", json!({"id": other["id"]})).await;
    let error = t.err("person_link_user", link(&other["id"])).await;
    assert_eq!(error["code"], "forbidden");
    let linked = t.ok("person_link_user", link(&user["id"])).await;
    assert_eq!((&linked["platform_user"], &linked["active"]), (&user["id"], &json!(false)));
    t.ok("user_update", json!({"id": other["id"], "active": true})).await;
    for user in [&user["id"], &other["id"]] {
        let again = t.ok("person_link_user", link(user)).await;
        assert_eq!((&again["version"], again.get("undo_token")), (&linked["version"], None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_invited_once() {
    let t = Tester::new().await;
    let person = t.ok("person_create", json!({"name": "Ewa Król"})).await;
    let error = t.err("person_invite", json!({"id": person["id"]})).await;
    assert_eq!(
        error,
        json!({"code": "validation", "message": "Ewa Król has no primary_email to send an invitation to. Set it first (person_update)."})
    );
    t.ok("person_update", json!({"id": person["id"], "primary_email": "ewa@example.com"})).await;
    let invited = t.ok("person_invite", json!({"id": person["id"], "redirect_to": "/start"})).await;
    assert_eq!(invited["person_id"], person["id"]);
    assert_eq!(invited["invitation_email"], "ewa@example.com");
    assert_eq!((&invited["auto_accept"], &invited["active"]), (&json!(true), &json!(true)));
    assert_eq!((&invited["redirect_to"], &invited["created"]), (&json!("/start"), &json!("2026-11-21T10:00:00Z")));
    assert_eq!(invited.get("undo_token"), None);
    let error = t.err("person_invite", json!({"id": person["id"]})).await;
    assert_eq!(error["code"], "conflict");
    assert_eq!(error["details"]["invitation_id"], invited["invitation_id"]);
    assert_eq!(error["details"]["person_id"], person["id"]);

    let linked = t.ok("person_create", json!({"name": "Jan Mak", "primary_email": "jan@example.com"})).await;
    let user =
        t.ok("user_create", json!({"email": "other@example.com", "first_name": "Jan", "last_name": "Mak"})).await;
    t.ok("person_link_user", json!({"id": linked["id"], "user_id": user["id"]})).await;
    assert_eq!(t.err("person_invite", json!({"id": linked["id"]})).await["code"], "impossible_state");
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_unique_and_attached_once() {
    let t = Tester::new().await;
    let person = t.ok("person_create", json!({"name": "Ewa"})).await;
    let tag = t
        .ok(
            "tag_create",
            json!({"name": " Ważny klient ", "taggable_type": "Crm::Client", "taggable_id": person["id"]}),
        )
        .await;
    assert_eq!(
        plain(tag.clone(), &["id", "undo_token", "assignment_id"]),
        json!({
            "num": 1, "name": "Ważny klient", "slug": "wazny-klient", "color": "#888888", "description": null,
            "version": 1, "created_at": "2026-11-21T10:00:00Z", "updated_at": "2026-11-21T10:00:00Z",
        })
    );
    let error = t.err("tag_create", json!({"name": "Ważny klient"})).await;
    assert_eq!(error["message"], "There is already a tag with the name Ważny klient. Use it, or choose another name.");
    assert_eq!(error["details"]["tag_id"], tag["id"]);
    assert_eq!(t.ok("tag_create", json!({"name": "ważny klient"})).await["slug"], "wazny-klient-2");
    let error = t.err("tag_create", json!({"name": "x", "slug": "wazny-klient"})).await;
    assert_eq!(error["code"], "conflict");
    let error = t.err("tag_update", json!({"id": tag["id"], "slug": "Ważny"})).await;
    assert_eq!(error["message"], "/slug: may hold only a-z, 0-9, hyphen and underscore, and at least one");
    assert_eq!(t.err("tag_create", json!({"name": "x", "color": "red"})).await["fields"][0]["path"], "/color");
    assert_eq!(
        t.err("tag_create", json!({"name": "x", "taggable_id": 1})).await["message"],
        "/taggable_type: is required beside taggable_id"
    );
    assert_eq!(
        t.err("tag_create", json!({"name": "x", "taggable_type": "Moon", "taggable_id": 1})).await["message"],
        "/taggable_type: there is no kind of record called Moon; write person, company, deal, task or another noun"
    );

    let assign = |kind: &str| json!({"tag_id": tag["id"], "subject_type": kind, "subject_id": person["id"]});
    let error = t.err("tag_assign", assign("person")).await;
    assert_eq!(
        error,
        json!({
            "code": "conflict", "message": "The tag Ważny klient is already attached to this party. Nothing was changed.",
            "details": {"assignment_id": tag["assignment_id"]},
        })
    );
    let off = t.ok("tag_unassign", assign("party")).await;
    assert_eq!(off["assignment_id"], tag["assignment_id"]);
    let error = t.err("tag_unassign", assign("party")).await;
    assert_eq!(error["message"], "The tag Ważny klient is not attached to this party. There is nothing to take off.");
    let error = t.err("tag_assign", assign("company")).await;
    assert_eq!(
        (&error["code"], error["message"].as_str().unwrap().starts_with("There is no company ")),
        (&json!("not_found"), true)
    );
    let on = t.ok("tag_assign", json!({"tagId": tag["id"], "entityId": person["id"]})).await;
    assert_eq!((&on["tag"]["name"], &on["subject_type"]), (&json!("Ważny klient"), &json!("party")));
    t.ok("tag_delete", json!({"id": tag["id"]})).await;
    assert_eq!(t.ok("person_show", json!({"id": person["id"]})).await["tags"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_found_or_created_and_merged() {
    let t = Tester::new().await;
    let (one, two) =
        (t.ok("person_create", json!({"name": "A"})).await, t.ok("person_create", json!({"name": "B"})).await);
    let on = |name: &str, person: &Value| json!({"name": name, "taggable_type": "person", "taggable_id": person["id"]});
    let vip = t.ok("tag_find_or_create", on("vip", &one)).await;
    assert_eq!(vip["created"], true);
    let again = t.ok("tag_find_or_create", on("vip", &one)).await;
    assert_eq!(
        (&again["id"], &again["created"], &again["assignment_id"]),
        (&vip["id"], &json!(false), &vip["assignment_id"])
    );
    let old = t.ok("tag_find_or_create", on("VIP", &one)).await;
    assert_ne!(old["id"], vip["id"]);
    t.ok("tag_find_or_create", on("VIP", &two)).await;

    assert_eq!(
        t.err("tag_merge", json!({"id": vip["id"], "ids": [vip["num"]]})).await["message"],
        "/ids/0: a tag cannot be merged into itself"
    );
    assert_eq!(
        t.err("tag_merge", json!({"id": vip["id"], "ids": [99]})).await["message"],
        "/ids/0: there is no tag 99; use tag_list to find it"
    );
    assert_eq!(t.err("tag_merge", json!({"id": 99, "ids": [vip["id"]]})).await["code"], "not_found");
    let before = t.dump().await;
    let merged = t.ok("tag_merge", json!({"id": vip["id"], "ids": [old["id"]]})).await;
    assert_eq!(
        (&merged["tag"]["name"], &merged["merged_ids"], &merged["moved"]),
        (&json!("vip"), &json!([old["id"]]), &json!(2))
    );
    assert_eq!(t.ok("tag_list", json!({})).await["total"], 1);
    assert_eq!(t.ok("person_list", json!({"tags": [vip["id"]]})).await["total"], 2);
    t.ok("action_undo", json!({"undo_token": merged["undo_token"]})).await;
    assert_eq!(difference(&before, &t.dump().await), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_book_answers_as_worksection_does() {
    let t = Tester::new().await;
    let preset = |id: &str, title: &str| json!({"id": id, "title": title, "type": "preset"});
    let presets = vec![preset("1", "USERS"), preset("2", "DEFAULT"), preset("3", "TEAM_ONLY"), preset("4", "HIDDEN")];
    assert_eq!(t.ok("get_contact_groups", json!({})).await, json!({"status": "ok", "data": presets}));
    assert_eq!(
        t.ok("add_contact_group", json!({"title": "hidden"})).await,
        json!({"status": "ok", "data": presets[3]})
    );
    let folder = t.ok("add_contact_group", json!({"title": " Dostawcy "})).await;
    assert_eq!(folder["data"], json!({"id": "5", "title": "Dostawcy", "type": "folder"}));
    assert_eq!(t.ok("add_contact_group", json!({"title": "DOSTAWCY"})).await["data"], folder["data"]);

    let added = t
        .ok("add_contact", json!({"email": "jan@hurt.pl", "name": "Jan Maria Hurt", "title": "Kierownik", "group": "dostawcy", "phone": "+48 1", "address": "Długa 1"}))
        .await;
    let contact = json!({
        "id": "1", "first_name": "Jan", "last_name": "Maria Hurt", "name": "Jan Maria Hurt", "title": "Kierownik",
        "group": "Dostawcy", "email": "jan@hurt.pl", "phone": "+48 1", "phone2": "", "phone3": "", "phone4": "",
        "address": "Długa 1", "address2": "",
    });
    assert_eq!(added["data"], contact);
    assert_eq!(t.ok("add_contact", json!({"email": "a@b.pl", "name": "Anna"})).await["data"]["group"], "DEFAULT");
    let new = t.ok("add_contact", json!({"email": "c@d.pl", "name": "Celina", "group": "Ekipy"})).await;
    assert_eq!(new["data"]["group"], "Ekipy");
    t.ok("person_create", json!({"name": "Nie w książce"})).await;
    let all = t.ok("get_contacts", json!({})).await;
    assert_eq!((&all["status"], &all["data"][0], all["data"].as_array().unwrap().len()), (&json!("ok"), &contact, 3));
    let groups = t.ok("get_contact_groups", json!({})).await;
    assert_eq!(
        groups["data"].as_array().unwrap().iter().map(|group| group["id"].as_str().unwrap()).collect::<Vec<_>>(),
        ["1", "2", "3", "4", "5", "6"]
    );

    let error = t.err("add_contact", json!({"name": "Jan"})).await;
    assert_eq!(
        (&error["status"], &error["status_code"], &error["message"]),
        (&json!("error"), &json!(10), &json!("Field is required"))
    );
    let error = t.err("add_contact", json!({"email": "jan", "name": "Jan"})).await;
    assert_eq!((&error["status_code"], &error["message"]), (&json!(11), &json!("Invalid email")));
    assert_eq!(t.err("add_contact_group", json!({})).await["status_code"], 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_companys_people_and_tags_are_unknown() {
    let t = Tester::new().await;
    let other = t.other_tenant().await;
    let person = t.ok("person_create", json!({"name": "Ewa"})).await;
    let tag = t.ok("tag_create", json!({"name": "x"})).await;
    let id = person["id"].as_str().unwrap();
    for (tool, input) in [
        ("person_show", json!({"id": id})),
        ("person_update", json!({"id": id, "name": "x"})),
        ("person_delete", json!({"id": id})),
        ("person_invite", json!({"id": id})),
    ] {
        let error = other.err(tool, input).await;
        assert_eq!(
            error["message"],
            format!("There is no person {id}. Use person_list to find the right id."),
            "{tool}"
        );
    }
    assert_eq!(other.err("tag_show", json!({"id": tag["id"]})).await["code"], "not_found");
    assert_eq!(other.ok("person_list", json!({"tags": [tag["id"]]})).await["total"], 0);
    assert_eq!(other.ok("tag_create", json!({"name": "x"})).await["num"], 1);
}
