//! Companies of an installation as those who run it see them; its caches, its state and its upgrade steps.

use bureau::open;
use bureau_identity::Tenant;
use bureau_kit::MIGRATIONS;
use bureau_kit::db::Db;
use bureau_kit::id::{Id, Ids};
use bureau_kit::record::Values;
use bureau_kit::sql::Sql;
use bureau_kit::time::{Clock, Instant};
use serde_json::{Value, json};

use crate::support::{START, TestDatabase, Tester, as_nobody};

async fn names(tester: &Tester, arguments: Value) -> Vec<String> {
    let found = tester.ok("tenant_list", arguments).await;
    found["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_is_founded_whole_and_only_by_who_runs_the_installation() {
    let root = Tester::new().await;
    let ordinary = root.as_role("owner").await;
    let wish = json!({"name": "Meble Łódź", "owner_email": "Ola@example.org", "owner_name": "Ola Nowa"});
    let refused = ordinary.err("tenant_create", wish.clone()).await;
    assert_eq!(refused["code"], "forbidden");
    assert_eq!(refused["details"]["missing"], "directory.tenants.manage");
    root.bureau.clock.advance_seconds(1);
    let made = root.ok("tenant_create", wish.clone()).await;
    assert_eq!((&made["slug"], &made["is_active"]), (&json!("meble-lodz"), &json!(true)));
    let owner = root.with_token(made["owner_token"].as_str().unwrap());
    let me = owner.ok("me", json!({})).await["data"][0].clone();
    assert_eq!(me["email"], "Ola@example.org");
    owner.ok("task_create", json!({"title": "Pierwsze"})).await;
    assert_eq!(owner.ok("organization_list", json!({})).await["items"][0]["name"], "Meble Łódź");
    assert_eq!(owner.err("tenant_list", json!({})).await["code"], "forbidden", "an owner is no administrator of all");
    root.bureau.clock.advance_seconds(1);
    // The same name again is another company, with another short name; a short name is there once.
    let second = root.ok("tenant_create", json!({"name": "Meble Łódź"})).await;
    assert_eq!(
        (&second["slug"], &second["owner_id"], &second["owner_token"]),
        (&json!("meble-lodz-2"), &Value::Null, &Value::Null)
    );
    let taken = root.err("tenant_create", json!({"name": "X", "slug": "Meble-Lodz"})).await;
    assert_eq!(taken["message"], "The short name meble-lodz is taken. Choose another.");
    for slug in ["a", "-ab", "ab-", "ą-b", "a b"] {
        let refused = root.err("tenant_create", json!({"name": "X", "slug": slug})).await;
        assert_eq!(
            refused["message"],
            "/slug: expected 2 to 63 small Latin letters, digits and hyphens, without a hyphen at either end"
        );
    }
    assert_eq!(names(&root, json!({"q": "lodz"})).await, ["Meble Łódź", "Meble Łódź"]);
    assert_eq!(
        names(&root, json!({"sort": "created_at", "order": "desc", "page_size": 1, "page": 2})).await,
        ["Meble Łódź"]
    );
    assert_eq!(names(&root, json!({"id": second["id"]})).await.len(), 1);
    assert_eq!(names(&root, json!({"is_active": false})).await, Vec::<String>::new());
    // A dry run leaves nothing, and nothing is in the caller's journal.
    let tried = root.ok("tenant_create", json!({"name": "Na próbę", "dry_run": true})).await;
    assert_eq!(tried["dry_run"], true);
    assert_eq!(names(&root, json!({"q": "probe"})).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_that_is_switched_off_is_out_at_once_and_comes_back_whole() {
    let root = Tester::new().await;
    let made = root.ok("tenant_create", json!({"name": "Krótka", "owner_email": "ola@example.org"})).await;
    let owner = root.with_token(made["owner_token"].as_str().unwrap());
    owner.ok("task_create", json!({"title": "Zostaje"})).await;
    let (id, lookup) = (&made["id"], json!({"tenant_id": made["id"]}));
    let found = as_nobody(&root, "tenant_lookup", lookup.clone()).await.unwrap();
    assert_eq!(found, json!({"ok": true, "tenant": {"id": id, "name": "Krótka"}}));

    let gone = root.ok("tenant_delete", json!({"id": id})).await;
    assert_eq!(gone["tenant"]["is_active"], false);
    assert_eq!(owner.err("me", json!({})).await["code"], "unauthenticated");
    let text = "There is no such tenant, or it is switched off. Check the UUID with whoever gave it to you.";
    let unknown = json!({"tenant_id": "019a0000-0000-7000-8000-000000000000"});
    for arguments in [lookup, unknown] {
        let refused = as_nobody(&root, "tenant_lookup", arguments).await.unwrap_err();
        assert_eq!(refused, json!({"code": "not_found", "message": text}));
    }
    let refused = as_nobody(&root, "tenant_lookup", json!({"tenant": "Krótka"})).await.unwrap_err();
    assert_eq!(refused["message"], "/tenant_id: expected the UUID of a tenant");

    root.ok("tenant_update", json!({"id": id, "is_active": true, "name": "Długa"})).await;
    assert_eq!(owner.ok("task_list", json!({})).await["items"][0]["title"], "Zostaje");
    assert_eq!(owner.ok("account_show", json!({})).await["name"], "Długa");
    // An older version is refused, and so is one's own tenant.
    let stale = root.err("tenant_update", json!({"id": id, "name": "Inna", "expected_version": 1})).await;
    assert_eq!(stale["code"], "conflict");
    let own = root.err("tenant_delete", json!({"id": root.tenant_id})).await;
    assert_eq!(
        own["message"],
        "This is your own tenant, and nobody could switch it on again from here. Have an administrator in another tenant do it."
    );
    let nobody = root.err("tenant_delete", json!({"id": "019a0000-0000-7000-8000-000000000000"})).await;
    assert_eq!(nobody["code"], "not_found");
}

/// Two administrators of the installation, each in a company of their own.
#[tokio::test(flavor = "multi_thread")]
async fn two_administrators_cannot_switch_each_other_off() {
    let root = Tester::new().await;
    let made = root.ok("tenant_create", json!({"name": "Druga", "owner_email": "ola@example.org"})).await;
    let id = uuid::Uuid::parse_str(made["id"].as_str().unwrap()).unwrap();
    root.bureau
        .as_system(id, None, "test", |ctx| {
            Box::pin(async move {
                let mut sql = Sql::new("UPDATE users SET is_super_admin = TRUE WHERE tenant_id = ");
                sql.bind(ctx.tenant_id());
                ctx.write_secret(&sql).await
            })
        })
        .await
        .unwrap();
    let second = root.with_token(made["owner_token"].as_str().unwrap());
    assert_eq!(second.ok("tenant_list", json!({})).await["total"], 2);
    for _ in 0..5 {
        let one = tokio::spawn(root.call_raw("tenant_delete", json!({"id": id})));
        let other = tokio::spawn(second.call_raw("tenant_delete", json!({"id": root.tenant_id})));
        let (one, other) = (one.await.unwrap(), other.await.unwrap());
        assert!(one.1 != other.1, "one of them stays: {one:?} {other:?}");
        let (left, gone) = if one.1 { (&second, json!(root.tenant_id)) } else { (&root, json!(id)) };
        left.ok("tenant_update", json!({"id": gone, "is_active": true})).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_switcher_shows_the_tree_and_what_one_may_choose() {
    let root = Tester::new().await;
    let top = root.ok("organization_list", json!({})).await["items"][0].clone();
    let krakow = root.ok("organization_create", json!({"name": "Kraków", "parent_id": top["id"]})).await;
    let shop = root.ok("organization_create", json!({"name": "Salon", "parent_id": krakow["id"]})).await;
    let closed = root.ok("organization_create", json!({"name": "Zamknięta"})).await;
    root.ok("organization_update", json!({"id": closed["id"], "is_active": false})).await;
    let shown = |switcher: &Value| -> Vec<(String, u64, bool)> {
        let items = switcher["items"].as_array().unwrap().iter();
        items
            .map(|item| {
                let name = item["name"].as_str().unwrap().to_owned();
                (name, item["depth"].as_u64().unwrap(), item["selectable"].as_bool().unwrap())
            })
            .collect()
    };
    let row = |name: &str, depth: u64, selectable: bool| (name.to_owned(), depth, selectable);
    let all = root.ok("organization_switcher_show", json!({})).await;
    let tree = [row("My company", 0, true), row("Kraków", 1, true), row("Salon", 2, true), row("Zamknięta", 0, false)];
    assert_eq!(shown(&all), tree);
    assert_eq!((&all["is_super_admin"], &all["can_manage"]), (&json!(true), &json!(true)));
    assert_eq!(all["tenants"].as_array().unwrap().len(), 1);
    assert_eq!(all["selected_id"], top["id"]);

    let minted = root.ok("session_create", json!({"organization_id": krakow["id"], "features": ["organize.*"]})).await;
    let narrowed = root.with_token(minted["session_token"].as_str().unwrap());
    let part = narrowed.ok("organization_switcher_show", json!({})).await;
    let tree = [row("My company", 0, false), row("Kraków", 1, true), row("Salon", 2, true), row("Zamknięta", 0, false)];
    assert_eq!(shown(&part), tree);
    assert_eq!(
        (&part["selected_id"], &part["can_manage"], &part["tenants"]),
        (&krakow["id"], &json!(false), &json!([]))
    );
    assert_eq!(shop["parent_id"], krakow["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn caches_are_counted_and_voided_and_a_dry_run_voids_nothing() {
    let root = Tester::new().await;
    let anna = root.as_role("user").await;
    anna.ok("me", json!({})).await;
    let before = root.ok("cache_stats_show", json!({})).await;
    assert_eq!(before, json!({"total": 2, "segments": {"rights": 2, "tool_lists": 0}}));
    let tried = root.ok("cache_purge", json!({"action": "purge_all", "dry_run": true})).await;
    assert_eq!(tried["deleted"], 2);
    assert_eq!(root.ok("cache_stats_show", json!({})).await, before);
    let purged = root.ok("cache_purge", json!({"action": "purgeSegment", "segment": "rights"})).await;
    assert_eq!((&purged["deleted"], &purged["stats"]["total"]), (&json!(2), &json!(0)));
    // Whoever looks is known again.
    assert_eq!(root.ok("cache_stats_show", json!({})).await["segments"]["rights"], 1);
    anna.ok("me", json!({})).await;
    assert_eq!(root.ok("system_cache_clear", json!({})).await["cleared"], 2);
    let refused = root.err("cache_purge", json!({"action": "purge_segment"})).await;
    assert_eq!(refused["message"], "/segment: is required with purge_segment: expected rights or tool_lists");
    assert_eq!(anna.err("cache_stats_show", json!({})).await["code"], "forbidden");
    assert_eq!(root.as_role("owner").await.err("system_status_show", json!({})).await["code"], "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_the_server_is_told_without_secrets() {
    let root = Tester::new().await;
    root.bureau.clock.advance_seconds(90);
    let status = root.ok("system_status_show", json!({})).await;
    let item = |category: &str, key: &str| {
        let categories = status["categories"].as_array().unwrap().iter();
        let found = categories.filter(|one| one["key"] == category).flat_map(|one| one["items"].as_array().unwrap());
        found.into_iter().find(|item| item["key"] == key).unwrap_or_else(|| panic!("no {category}.{key}")).clone()
    };
    assert_eq!(item("server", "uptime_seconds")["value"], 90);
    assert_eq!(item("server", "version")["value"], env!("CARGO_PKG_VERSION"));
    let dialect = if std::env::var("BUREAU_TEST_POSTGRES").is_ok() { "postgresql" } else { "sqlite" };
    assert_eq!(item("database", "dialect")["value"], dialect);
    assert_eq!(item("database", "tenants")["value"], 1);
    let off =
        json!({"key": "onboarding", "kind": "string", "state": "default", "value": "off", "default_value": "off"});
    assert_eq!(item("self_service", "onboarding"), off);
    // A mail that nobody carries is counted, and not shown.
    root.ok("user_create", json!({"email": "zaproszona@example.org", "invite": true})).await;
    let waiting = root.ok("system_status_show", json!({})).await;
    assert!(
        waiting.to_string().contains(r#""key":"waiting","kind":"number","state":"default","value":1"#),
        "{waiting}"
    );
    assert!(!waiting.to_string().contains("zaproszona"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_from_before_catches_up_step_by_step() {
    let root = Tester::new().await;
    let old = root.ok("tenant_create", json!({"name": "Stara", "owner_email": "ola@example.org"})).await;
    let id = uuid::Uuid::parse_str(old["id"].as_str().unwrap()).unwrap();
    let owner = root.with_token(old["owner_token"].as_str().unwrap());
    // As an older program would have left it: without the number, a role, and some features.
    root.bureau
        .as_system(id, None, "test", |ctx| {
            Box::pin(async move {
                for statement in [
                    "DELETE FROM settings WHERE key = 'upgrade.version' AND tenant_id = ",
                    "DELETE FROM roles WHERE code = 'sprzedawca' AND tenant_id = ",
                    "DELETE FROM task_statuses WHERE category = 'ready' AND tenant_id = ",
                    "UPDATE roles SET features = '[\"contracts.view\", \"own.feature\"]' WHERE code = 'user' AND tenant_id = ",
                ] {
                    let mut sql = Sql::new(statement);
                    sql.bind(ctx.tenant_id());
                    ctx.write_secret(&sql).await?;
                }
                Ok(())
            })
        })
        .await
        .unwrap();
    assert_eq!(
        root.ok("upgrade_action_list", json!({})).await["actions"],
        json!([]),
        "a new company has nothing to do"
    );
    let next = root.ok("upgrade_action_list", json!({"tenant_id": id})).await;
    assert_eq!((&next["version"], &next["newest_version"]), (&json!(0), &json!(3)));
    assert_eq!(next["actions"].as_array().unwrap().len(), 1);
    assert_eq!(next["actions"][0]["id"], "builtin_roles");
    let early = root.err("upgrade_action_run", json!({"action_id": "search_text", "tenant_id": id})).await;
    assert_eq!(early["message"], "The step builtin_roles comes before search_text. Run it first.");
    let ran = root.ok("upgrade_action_run", json!({"action_id": "builtin_roles", "tenant_id": id})).await;
    assert_eq!((&ran["status"], &ran["version"]), (&json!("completed"), &json!(1)));
    let roles = owner.ok("role_list", json!({"page_size": 100})).await["items"].clone();
    let coded = |code: &str| roles.as_array().unwrap().iter().find(|role| role["code"] == code).unwrap().clone();
    assert_eq!(coded("sprzedawca")["name"], "Sprzedawca");
    let features = coded("user")["features"].to_string();
    assert!(features.contains("own.feature") && features.contains("groups.view"), "{features}");
    let again = root.ok("upgrade_action_run", json!({"action_id": "builtin_roles", "tenant_id": id})).await;
    assert_eq!((&again["status"], &again["version"]), (&json!("already_completed"), &json!(1)));
    let found = root.ok("upgrade_action_run", json!({"actionId": "search_text", "tenantId": id})).await;
    assert_eq!((&found["status"], &found["version"]), (&json!("completed"), &json!(2)));
    let last = root.ok("upgrade_action_run", json!({"action_id": "beginnings", "tenant_id": id})).await;
    assert_eq!((&last["status"], &last["version"]), (&json!("completed"), &json!(3)));
    let statuses = owner.ok("task_status_list", json!({})).await;
    assert_eq!(statuses["total"], 4, "the missing one is there again, and no other twice: {statuses}");
    assert_eq!(root.ok("upgrade_action_list", json!({"tenant_id": id})).await["actions"], json!([]));
    let unknown = root.err("upgrade_action_run", json!({"action_id": "x"})).await;
    assert_eq!(
        unknown["message"],
        "/action_id: there is no step `x`; expected one of builtin_roles, search_text, beginnings"
    );
    assert_eq!(owner.err("upgrade_action_list", json!({})).await["code"], "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_from_before_keeps_its_companies() {
    let database = TestDatabase::new().await;
    let place = MIGRATIONS.iter().position(|migration| migration.name.ends_with("_directory")).unwrap();
    let db = Db::open(&database.location, &MIGRATIONS[..place]).await.unwrap();
    let id = uuid::Uuid::from_u128(0x019a_0000_0000_7000_8000_0000_0000_0001);
    let mut tx = db.write().await.unwrap();
    let sql = Sql::with(
        "INSERT INTO tenants (id, name, slug, is_active, created_at, updated_at) VALUES ($1, 'Stara', 'stara', TRUE, $2, $2)",
        [id.into(), Instant::parse(START).unwrap().into()],
    );
    tx.query(&sql).await.unwrap();
    tx.commit().await.unwrap();
    db.close().await;
    let clock = Clock::fixed(Instant::parse(START).unwrap());
    let opened = open::open_with(&database.location, clock, Ids::seeded(1)).await.unwrap();
    assert!(opened.founded.is_none());
    let told = opened.bureau.as_system(id, None, "test", move |ctx| {
        Box::pin(async move {
            let tenant = ctx.fetch(Id::<Tenant>::from(id)).await?;
            let told =
                ["name", "name_folded", "slug", "timezone", "locale"].map(|column| tenant.text(column).to_owned());
            let renamed = ctx.update(&tenant, Values::new().with("description", "Nadal jest")).await?;
            Ok((told, tenant.version, renamed.version))
        })
    });
    let expected = ["Stara", "stara", "stara", "UTC", "en"].map(str::to_owned);
    assert_eq!(told.await.unwrap(), (expected, 1, 2));
}
