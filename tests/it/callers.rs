//! Everyone who can call a tool: each built-in role, and every other way in which a token comes to its rights.

use std::collections::BTreeMap;
use std::sync::Arc;

use bureau_identity::{NewKey, mint_api_key};
use bureau_kit::access::{Shown, Verified};
use bureau_kit::record::Values;
use bureau_kit::time::Instant;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::oracle::{Held, Limits, names};
use crate::support::Tester;
use crate::world::World;

/// Somebody, with what the oracle is to know of them.
pub struct Caller {
    pub name: String,
    pub tester: Tester,
    pub held: Held,
    pub limits: Limits,
    /// Whether the token has no write left.
    pub spent: bool,
}

impl Caller {
    fn new(name: &str, tester: Tester, held: &[String]) -> Self {
        Self { name: name.to_owned(), tester, held: Held::of(held), limits: Limits::default(), spent: false }
    }

    /// Somebody who may use everything.
    pub fn whole(tester: Tester) -> Self {
        let held = Held { features: list(&["*"]), super_admin: true };
        Self { held, ..Self::new("everything", tester, &[]) }
    }

    /// A session minted by this caller; `limits` is what the new token must be narrowed to.
    async fn session(&self, name: &str, arguments: Value, limits: Limits) -> Self {
        let minted = self.tester.ok("session_create", arguments).await;
        let tester = self.tester.with_token(minted["session_token"].as_str().unwrap());
        Self { name: name.to_owned(), tester, held: self.held.clone(), limits, spent: false }
    }
}

fn list(features: &[&str]) -> Vec<String> {
    features.iter().map(|&feature| feature.to_owned()).collect()
}

/// Features of every role by code, as `role_list` publishes them.
pub async fn role_features(owner: &Tester) -> BTreeMap<String, Vec<String>> {
    let roles = owner.ok("role_list", json!({"page_size": 100, "sort": "num", "order": "asc"})).await;
    let roles = roles["items"].as_array().unwrap();
    roles.iter().filter_map(|role| Some((role["code"].as_str()?.to_owned(), names(&role["features"])))).collect()
}

/// A new user; answers the id.
pub async fn user(owner: &Tester, name: &str, roles: Value) -> Value {
    let email = format!("{}@callers.example.com", name.replace([' ', '_'], "-"));
    owner.ok("user_create", json!({"email": email, "name": name, "roles": roles})).await["id"].clone()
}

/// The same server, with a new API key of a user.
pub async fn with_key_of(owner: &Tester, user: &Value) -> Tester {
    let key = owner.ok("api_key_create", json!({"name": "caller", "user_id": user})).await;
    owner.with_token(key["secret"].as_str().unwrap())
}

/// What replaces a user's roles, limited to some organizations where any are named.
pub async fn grant(owner: &Tester, user: &Value, features: &[&str], organizations: Option<&[Uuid]>) {
    let user = Uuid::try_parse(user.as_str().unwrap()).unwrap();
    let mut values = Values::new().with("user_id", user).with("features", json!(features));
    if let Some(organizations) = organizations {
        values.set("organization_ids", json!(organizations));
    }
    let stored = owner.bureau.as_system(owner.tenant_id, None, "grant", |ctx| {
        Box::pin(async move {
            let table = ctx.bureau().registry.table("user_grants").unwrap();
            ctx.insert(table, values).await.map(drop)
        })
    });
    stored.await.unwrap();
}

/// An API key that stands for itself.
pub async fn own_key(owner: &Tester, features: &[&str], organization: Option<Uuid>) -> Tester {
    let features = Some(list(features));
    let key = NewKey { name: "robot".into(), features, organization_id: organization, ..NewKey::default() };
    let minted = owner.bureau.as_system(owner.tenant_id, None, "key", |ctx| Box::pin(mint_api_key(ctx, key)));
    owner.with_token(&minted.await.unwrap().1)
}

/// The same server, with an access token of the OAuth issuer for the user with this address.
pub async fn with_oauth(owner: &Tester, token: &str, email: &str, may_write: bool) -> Tester {
    let ends = Instant::parse("2027-01-01T00:00:00Z").unwrap();
    let mut verified = Verified::new(token, "https://login.example.com", email, ends);
    verified.email = Some(email.to_owned());
    verified.tenant = Some(owner.tenant_id.to_string());
    verified.may_write = may_write;
    owner.bureau.link(&verified).await.unwrap();
    Tester { shown: Shown::Verified(Arc::new(verified)), ..owner.clone() }
}

/// All of them.
pub async fn callers(world: &World) -> Vec<Caller> {
    let owner = &world.owner;
    let features = role_features(owner).await;
    let mut everything = Caller::new("the owner's key", owner.clone(), &features["owner"]);
    // Whoever starts a server first administers the installation, too.
    everything.held.super_admin = true;
    // The local owner is the oldest one.
    owner.bureau.clock.advance_seconds(1);
    let second = owner.other_tenant().await;
    let mut callers = Vec::new();
    for code in features.keys() {
        let id = user(owner, code, json!([code])).await;
        let shown = owner.ok("user_show", json!({"id": id})).await;
        let codes = shown["roles"].as_array().unwrap().iter().map(|role| role["code"].as_str().unwrap());
        let held: Vec<String> = codes.flat_map(|code| features[code].clone()).collect();
        callers.push(Caller::new(&format!("role {code}"), with_key_of(owner, &id).await, &held));
    }
    callers.extend(granted(world).await);
    callers.extend(narrowed(&everything, world).await);

    callers.push(Caller::new("the owner of a second company", second, &features["owner"]));
    let mut local = Caller::new("the local owner", Tester { shown: Shown::LocalOwner, ..owner.clone() }, &[]);
    local.held = everything.held.clone();
    callers.push(local);
    user(owner, "oauth user", json!(["user"])).await;
    for (may_write, name) in [(true, "OAuth with write"), (false, "OAuth with read")] {
        let tester = with_oauth(owner, name, "oauth-user@callers.example.com", may_write).await;
        let mut caller = Caller::new(name, tester, &features["user"]);
        caller.limits.read_only = !may_write;
        callers.push(caller);
    }
    callers.push(everything);
    callers
}

/// Rights that no role gives: personal grants, organizations, keys of their own.
async fn granted(world: &World) -> Vec<Caller> {
    let owner = &world.owner;
    let branch = *world.ids["organizations"].last().unwrap();
    let odd = ["contracts.*", "customer.*", "customers", "organiz*", "*.view", "auth.users.list", ""];
    let mut callers = Vec::new();
    for (name, features, organizations) in [
        ("a grant instead of roles", &odd[..], None),
        ("a grant of nothing", &[], None),
        ("everything in one organization", &["*"], Some(&[branch][..])),
        ("everything in no organization", &["*"], Some(&[])),
    ] {
        let id = user(owner, name, json!(["admin"])).await;
        grant(owner, &id, features, organizations).await;
        callers.push(Caller::new(name, with_key_of(owner, &id).await, &list(features)));
    }
    for (name, features, organization) in [
        ("a key of its own", &["contracts.view", "customers.*", "organize.tasks.manage"][..], None),
        ("a key of its own in one organization", &["*"], Some(branch)),
        ("a key of its own that holds nothing", &[], None),
    ] {
        let caller = Caller::new(name, own_key(owner, features, organization).await, &list(features));
        callers.push(caller.session(&format!("a session of {name}"), json!({}), Limits::default()).await);
        callers.push(caller);
    }
    callers
}

/// Sessions narrowed in every way, and sessions and keys made from them.
async fn narrowed(everything: &Caller, world: &World) -> Vec<Caller> {
    let branch = world.ids["organizations"].last().unwrap();
    let features = || Some(list(&["auth.users.list", "contracts.view", "organize.*"]));
    let toolsets = || Some(list(&["contracts", "tasks"]));
    let limits = |features, toolsets, read_only| Limits { features, toolsets, read_only };
    let by_features = json!({"features": features()});
    let by_features =
        everything.session("a session of some features", by_features, limits(features(), None, false)).await;
    let child = by_features.session("its child", json!({}), limits(features(), None, false)).await;
    let fewer = json!({"features": ["organize.tasks.*"], "toolsets": toolsets()});
    let fewer_limits = limits(Some(list(&["organize.tasks.*"])), toolsets(), false);
    let grandchild = child.session("its grandchild", fewer, fewer_limits).await;
    let by_toolsets = json!({"toolsets": toolsets()});
    let by_toolsets =
        everything.session("a session of some toolsets", by_toolsets, limits(None, toolsets(), false)).await;
    let read_only = json!({"read_only": true});
    let read_only = everything.session("a session that reads", read_only, limits(None, None, true)).await;
    let all = json!({"features": features(), "toolsets": toolsets(), "read_only": true, "organization_id": branch});
    let all = everything.session("a session narrowed in all ways", all, limits(features(), toolsets(), true)).await;
    let nothing = json!({"features": []});
    let nothing = everything.session("a session of no features", nothing, limits(Some(vec![]), None, false)).await;
    let no_toolset = json!({"toolsets": []});
    let no_toolset =
        everything.session("a session of no toolsets", no_toolset, limits(None, Some(vec![]), false)).await;
    let mut spent = everything.session("a session without writes", json!({"write_budget": 0}), Limits::default()).await;
    spent.spent = true;

    let key = json!({"name": "narrow", "features": ["customers.*", "search.reindex"]});
    let key = everything.tester.ok("api_key_create", key).await;
    let key = Caller {
        name: "a key of some features".into(),
        tester: everything.tester.with_token(key["secret"].as_str().unwrap()),
        held: everything.held.clone(),
        limits: limits(Some(list(&["customers.*", "search.reindex"])), None, false),
        spent: false,
    };
    let of_key = key.session("its session", json!({}), key.limits.clone()).await;
    let assistant = everything.tester.ok("ai_session_key_create", json!({})).await;
    let assistant = everything.tester.with_token(assistant["sessionToken"].as_str().unwrap());
    let mut assistant = Caller::new("an assistant's session", assistant, &[]);
    assistant.held = everything.held.clone();
    vec![
        by_features,
        child,
        grandchild,
        by_toolsets,
        read_only,
        all,
        nothing,
        no_toolset,
        spent,
        key,
        of_key,
        assistant,
    ]
}
