//! Tokens made from tokens made from tokens: trees that chance has grown, against an oracle that follows each branch to its root.
//!
//! The server copies a parent's limits into the child once; the oracle keeps none, and asks every ancestor again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bureau::open;
use bureau_kit::id::Ids;
use bureau_kit::record::Values;
use bureau_kit::time::{Clock, Instant};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::callers::{grant, role_features, user, with_key_of};
use crate::dice::{Dice, seed, times};
use crate::oracle::{EXECUTORS, Held, Published, gives, published};
use crate::support::{START, Tester};

const FEATURES: &[&str] = &[
    "*",
    "api_keys.create",
    "auth.users.list",
    "contracts.*",
    "contracts.view",
    "customers.*",
    "customers.people.view",
    "organize.*",
    "organize.tasks.*",
    "organize.tasks.view",
];
const TOOLSETS: &[&str] = &["access", "contracts", "crm", "tasks", "teams"];

struct Person {
    id: Value,
    held: Held,
    /// Places in the list of organizations; none means all.
    organizations: Option<Vec<usize>>,
    active: bool,
}

/// A session or a key, with what was asked for when it was made.
struct Node {
    first: Tester,
    second: Tester,
    id: Value,
    is_key: bool,
    person: usize,
    parent: Option<usize>,
    features: Option<Vec<String>>,
    toolsets: Option<Vec<String>>,
    scope: Option<usize>,
    read_only: bool,
    /// In minutes from the beginning.
    ends: i64,
    ended: bool,
}

struct Forest {
    owner: Tester,
    second: Tester,
    dice: Dice,
    tools: BTreeMap<String, Published>,
    people: Vec<Person>,
    nodes: Vec<Node>,
    organizations: Vec<Uuid>,
    /// The organization above each.
    above: Vec<Option<usize>>,
    minutes: i64,
    cells: usize,
    refusals: usize,
}

impl Forest {
    /// The node and its ancestors, nearest first.
    fn branch(&self, node: usize) -> impl Iterator<Item = &Node> {
        std::iter::successors(self.nodes.get(node), |node| self.nodes.get(node.parent?))
    }

    fn is_alive(&self, node: usize) -> bool {
        self.people[self.nodes[node].person].active
            && self.branch(node).all(|node| !node.ended && node.ends > self.minutes)
    }

    fn leaves(&self, node: usize, feature: &str) -> bool {
        self.branch(node)
            .all(|node| node.features.as_ref().is_none_or(|list| list.iter().any(|grant| gives(grant, feature))))
    }

    fn holds(&self, node: usize, feature: &str) -> bool {
        self.people[self.nodes[node].person].held.gives(feature) && self.leaves(node, feature)
    }

    fn opens(&self, node: usize, toolset: &str) -> bool {
        self.branch(node).all(|node| node.toolsets.as_ref().is_none_or(|list| list.iter().any(|name| name == toolset)))
    }

    fn may(&self, node: usize, name: &str) -> bool {
        let tool = &self.tools[name];
        (tool.rights.is_empty() || tool.rights.iter().any(|right| self.holds(node, right)))
            && (tool.toolset == "discovery" || self.opens(node, &tool.toolset))
            && !(tool.writes && self.branch(node).any(|node| node.read_only))
    }

    /// The organization and all below it.
    fn with_descendants(&self, root: usize) -> BTreeSet<usize> {
        let lies_below =
            |place: &usize| std::iter::successors(Some(*place), |place| self.above[*place]).any(|above| above == root);
        (0..self.organizations.len()).filter(lies_below).collect()
    }

    /// The organizations whose records a node sees.
    fn sees(&self, node: usize) -> BTreeSet<usize> {
        let mut seen: BTreeSet<usize> = (0..self.organizations.len()).collect();
        if let Some(held) = &self.people[self.nodes[node].person].organizations {
            let held: BTreeSet<usize> = held.iter().flat_map(|root| self.with_descendants(*root)).collect();
            seen.retain(|place| held.contains(place));
        }
        for scope in self.branch(node).filter_map(|node| node.scope) {
            let scope = self.with_descendants(scope);
            seen.retain(|place| scope.contains(place));
        }
        seen
    }

    fn chance(&mut self, of: u64) -> bool {
        self.dice.below(of) == 0
    }

    fn pick(&mut self, length: usize) -> usize {
        usize::try_from(self.dice.below(u64::try_from(length).unwrap())).unwrap()
    }

    fn some(&mut self, of: &[&str]) -> Vec<String> {
        let count = 1 + self.pick(3);
        let picked: BTreeSet<String> = (0..count).map(|_| of[self.pick(of.len())].to_owned()).collect();
        picked.into_iter().collect()
    }

    fn root(&mut self, person: usize, key: &Tester) {
        let second = Tester { shown: key.shown.clone(), ..self.second.clone() };
        self.nodes.push(Node {
            first: key.clone(),
            second,
            id: Value::Null,
            is_key: true,
            person,
            parent: None,
            features: None,
            toolsets: None,
            scope: None,
            read_only: false,
            ends: i64::MAX,
            ended: false,
        });
    }

    /// Asks a node for a token of its own, with any wishes; the oracle says whether it gets one.
    async fn grow(&mut self, parent: usize) {
        let features = if self.chance(2) { Some(self.some(FEATURES)) } else { None };
        let fits = features.iter().flatten().all(|feature| self.holds(parent, feature));
        let person = self.nodes[parent].person;
        let (is_key, ends) = (self.chance(5), self.nodes[parent].ends);
        let (tool, mut arguments, expected);
        let mut node = (None, None, false, ends);
        if is_key {
            tool = "api_key_create";
            arguments = json!({"name": "branch"});
            let limited = self.branch(parent).any(|node| node.toolsets.is_some() || node.scope.is_some());
            expected = fits && !limited;
        } else {
            tool = "session_create";
            let toolsets = if self.chance(3) {
                let mut list = self.some(TOOLSETS);
                // Without it nothing grows from here.
                if !self.chance(4) {
                    list.push("access".to_owned());
                }
                Some(list)
            } else {
                None
            };
            let scope = if self.chance(4) { Some(self.pick(self.organizations.len())) } else { None };
            let (read_only, minutes) = (self.chance(12), 20 + i64::try_from(self.dice.below(400)).unwrap());
            arguments = json!({"ttl_minutes": minutes, "read_only": read_only});
            if let Some(list) = &toolsets {
                arguments["toolsets"] = json!(list);
            }
            if let Some(scope) = scope {
                arguments["organization_id"] = json!(self.organizations[scope]);
            }
            expected = fits
                && toolsets.iter().flatten().all(|name| self.opens(parent, name))
                && scope.is_none_or(|scope| self.sees(parent).contains(&scope));
            node = (toolsets, scope, read_only, ends.min(self.minutes + minutes));
        }
        if let Some(list) = &features {
            arguments["features"] = json!(list);
        }
        let expected = expected && self.is_alive(parent) && self.may(parent, tool);
        let (answer, is_error) = self.nodes[parent].first.call(tool, arguments.clone()).await;
        assert_eq!(!is_error, expected, "{tool} {arguments} by node {parent}: {answer}");
        self.cells += 1;
        self.refusals += usize::from(is_error);
        if is_error {
            return;
        }
        let secret = answer[if is_key { "secret" } else { "session_token" }].as_str().unwrap();
        let (toolsets, scope, read_only, ends) = node;
        self.nodes.push(Node {
            first: self.owner.with_token(secret),
            second: self.second.with_token(secret),
            id: answer.pointer(if is_key { "/id" } else { "/session/id" }).unwrap().clone(),
            is_key,
            person,
            parent: Some(parent),
            features,
            toolsets,
            scope,
            read_only,
            ends,
            ended: false,
        });
    }

    /// Calls one tool with one token, in both processes.
    async fn probe(&mut self, node: usize, name: &str) {
        let expected = match (self.is_alive(node), self.may(node, name)) {
            (false, _) => "unauthenticated",
            (true, false) => "forbidden",
            (true, true) => "validation",
        };
        for (which, tester) in [("first", &self.nodes[node].first), ("second", &self.nodes[node].second)] {
            let (answer, _) = tester.call(name, json!({"no_such_argument": 1})).await;
            let depth = self.branch(node).count();
            assert_eq!(answer["code"], expected, "{name} by node {node} at depth {depth}, {which} process: {answer}");
        }
        self.cells += 2;
    }

    /// Looks at the records of all organizations, in both processes.
    async fn look(&mut self, node: usize) {
        if !self.is_alive(node) || !self.may(node, "task_list") {
            return;
        }
        let expected: BTreeSet<String> = self.sees(node).iter().map(usize::to_string).collect();
        for tester in [&self.nodes[node].first, &self.nodes[node].second] {
            let tasks = tester.ok("task_list", json!({})).await;
            let tasks = tasks["items"].as_array().unwrap();
            let titles: BTreeSet<String> =
                tasks.iter().map(|task| task["title"].as_str().unwrap().to_owned()).collect();
            assert_eq!(titles, expected, "records seen by node {node}");
        }
        self.cells += 2;
    }

    async fn probe_some(&mut self, count: usize) {
        let names: Vec<String> =
            self.tools.keys().filter(|name| !EXECUTORS.contains(&name.as_str())).cloned().collect();
        for _ in 0..count {
            let (node, name) = (self.pick(self.nodes.len()), self.pick(names.len()));
            self.probe(node, &names[name]).await;
            self.look(node).await;
        }
    }

    /// Changes the personal grant of somebody who has one.
    async fn regrant(&self, person: usize) {
        let person = &self.people[person];
        let user = Uuid::try_parse(person.id.as_str().unwrap()).unwrap();
        let organizations: Option<Vec<Uuid>> =
            person.organizations.as_ref().map(|list| list.iter().map(|place| self.organizations[*place]).collect());
        let values = Values::new()
            .with("features", json!(person.held.features))
            .with("organization_ids", organizations.map(|list| json!(list)));
        let stored = self.owner.bureau.as_system(self.owner.tenant_id, None, "grant", |ctx| {
            Box::pin(async move {
                let table = ctx.bureau().registry.table("user_grants").unwrap();
                let mut sql = ctx.from(table);
                sql.and_eq("user_id", user);
                let given = ctx.first(table, sql).await?.unwrap();
                ctx.update(&given, values).await.map(drop)
            })
        });
        stored.await.unwrap();
    }

    /// Something that takes rights away, or gives some.
    async fn happen(&mut self, roles: &BTreeMap<String, Vec<String>>) -> &'static str {
        match self.dice.below(6) {
            0 | 1 => {
                let made: Vec<usize> =
                    (0..self.nodes.len()).filter(|node| self.nodes[*node].parent.is_some()).collect();
                let node = made[self.pick(made.len())];
                let (is_key, id) = (self.nodes[node].is_key, self.nodes[node].id.clone());
                let tool = if is_key { "api_key_delete" } else { "session_revoke" };
                // A key that was deleted before is not there any more.
                let (_, gone) = self.owner.call(tool, json!({"id": id})).await;
                assert!(!gone || (is_key && self.nodes[node].ended), "{tool}");
                self.nodes[node].ended = true;
                "a token was ended"
            }
            2 => {
                let role = ["user", "admin", "guest", "reader", "team_admin"][self.pick(5)];
                let id = self.people[0].id.clone();
                self.owner.ok("user_update", json!({"id": id, "role": role})).await;
                self.people[0].held = Held::of(&roles[role]);
                "a role was changed"
            }
            3 => {
                self.people[1].held.features = self.some(FEATURES);
                self.people[1].held.features.push("auth.*".to_owned());
                let some = (0..1 + self.pick(3)).map(|_| self.pick(self.organizations.len())).collect();
                self.people[1].organizations = if self.chance(3) { None } else { Some(some) };
                self.regrant(1).await;
                "a grant was changed"
            }
            4 => {
                // The third goes under the second, or under the last, or to the top.
                let above = [None, Some(1), Some(3)][self.pick(3)];
                let parent = above.map(|place| self.organizations[place]);
                self.owner.ok("organization_update", json!({"id": self.organizations[2], "parent_id": parent})).await;
                self.above[2] = above;
                "an organization was moved"
            }
            _ => {
                let person = self.pick(self.people.len());
                let id = self.people[person].id.clone();
                self.owner.ok("user_block", json!({"id": id})).await;
                self.people[person].active = false;
                self.probe_some(10).await;
                self.owner.ok("user_update", json!({"id": id, "active": true})).await;
                self.people[person].active = true;
                // The block ended the person's sessions, and with them what was made from them.
                for node in self.nodes.iter_mut().filter(|node| node.person == person && !node.is_key) {
                    node.ended = true;
                }
                "somebody was blocked and let in again"
            }
        }
    }
}

async fn forest(dice: Dice, roles: &BTreeMap<String, Vec<String>>, owner: Tester) -> Forest {
    let clock = Clock::fixed(Instant::parse(START).unwrap());
    let opened = open::open_with(&owner.database.location, clock, Ids::seeded(4242)).await.unwrap();
    let second = Tester { bureau: opened.bureau, ..owner.clone() };
    let home = owner.ok("organization_list", json!({})).await["items"][0]["id"].clone();
    let mut ids = vec![home];
    for (name, parent) in [("North", None), ("City", Some(1)), ("South", None)] {
        let parent: Option<&Value> = parent.map(|place: usize| &ids[place]);
        ids.push(owner.ok("organization_create", json!({"name": name, "parent_id": parent})).await["id"].clone());
    }
    let organizations: Vec<Uuid> = ids.iter().map(|id| Uuid::try_parse(id.as_str().unwrap()).unwrap()).collect();
    for (place, organization) in organizations.iter().enumerate() {
        let scoped = owner.ok("session_create", json!({"organization_id": organization})).await;
        let scoped = owner.with_token(scoped["session_token"].as_str().unwrap());
        scoped.ok("task_create", json!({"title": place.to_string()})).await;
    }
    let mut forest = Forest {
        owner: owner.clone(),
        second,
        dice,
        tools: published(),
        people: Vec::new(),
        nodes: Vec::new(),
        organizations,
        above: vec![None, None, Some(1), None],
        minutes: 0,
        cells: 0,
        refusals: 0,
    };
    let anna = user(&owner, "anna", json!(["user"])).await;
    let piotr = user(&owner, "piotr", json!(["user"])).await;
    let features = ["organize.*", "auth.*", "api_keys.*", "customers.*"];
    let limits = [forest.organizations[1], forest.organizations[3]];
    grant(&owner, &piotr, &features, Some(&limits)).await;
    let ewa = user(&owner, "ewa", json!(["admin"])).await;
    let granted = Held::of(&features.map(str::to_owned));
    for (id, held, organizations) in [
        (anna, Held::of(&roles["user"]), None),
        (piotr, granted, Some(vec![1, 3])),
        (ewa, Held::of(&roles["admin"]), None),
    ] {
        let key = with_key_of(&owner, &id).await;
        forest.people.push(Person { id, held, organizations, active: true });
        forest.root(forest.people.len() - 1, &key);
    }
    forest
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_never_exceeds_what_it_was_made_from() {
    let (seed, size) = (seed(), usize::try_from(times("BUREAU_ROUNDS", 240)).unwrap().max(40));
    println!("seed {seed}");
    let owner = Tester::new().await;
    let roles = role_features(&owner).await;
    let mut forest = forest(Dice::new(seed), &roles, owner).await;
    let (mut events, mut most) = (BTreeMap::new(), 0);
    let mut steps = 0;
    while forest.nodes.len() < size {
        steps += 1;
        assert!(steps < size * 20, "seed {seed} does not grow");
        let alive: Vec<usize> = (0..forest.nodes.len()).filter(|node| forest.is_alive(*node)).collect();
        most = most.max(alive.len());
        // The youngest grow most, so that branches become long; now and then something dead is asked, too.
        let parent = match forest.dice.below(8) {
            0 => forest.pick(forest.nodes.len()),
            1 | 2 => alive[forest.pick(alive.len())],
            _ => alive[alive.len() - 1 - forest.pick(alive.len().min(12))],
        };
        forest.grow(parent).await;
        if steps % 30 == 0 {
            *events.entry(forest.happen(&roles).await).or_insert(0) += 1;
            forest.probe_some(25).await;
        }
        if steps % 90 == 0 {
            for bureau in [&forest.owner.bureau, &forest.second.bureau] {
                bureau.clock.advance_seconds(20 * 60);
            }
            forest.minutes += 20;
            forest.probe_some(25).await;
        }
    }
    forest.probe_some(100).await;
    // Whoever lives may use no tool that any ancestor may not, by the server's own word.
    let (mut pairs, mut depths) = (0, BTreeMap::new());
    let bureau: Arc<_> = forest.owner.bureau.clone();
    for node in 0..forest.nodes.len() {
        *depths.entry(forest.branch(node).count()).or_insert(0) += 1;
        if !forest.is_alive(node) {
            continue;
        }
        let usable = async |node: &Node| -> BTreeSet<&'static str> {
            let principal = bureau.principal(&node.first.shown).await.unwrap();
            let entries = bureau.registry.entries().iter();
            let admitted = entries.filter(|entry| bureau.admits(&principal, &node.first.selection, entry));
            admitted.map(|entry| entry.tool.name).collect()
        };
        let own = usable(&forest.nodes[node]).await;
        let expected: BTreeSet<&str> =
            forest.tools.keys().filter(|name| forest.may(node, name)).map(String::as_str).collect();
        assert_eq!(own, expected, "node {node}");
        for ancestor in forest.branch(node).skip(1) {
            let theirs = usable(ancestor).await;
            assert!(own.is_subset(&theirs), "node {node} may {:?}", own.difference(&theirs));
            pairs += 1;
        }
    }
    let deepest = depths.keys().max().unwrap();
    assert!(*deepest >= 5, "{depths:?}");
    println!(
        "{} tokens, at most {most} alive at once, by depth {depths:?}; {} wishes refused; {events:?}; {} cells, {pairs} pairs of \
         token and ancestor",
        forest.nodes.len(),
        forest.refusals,
        forest.cells
    );
}
