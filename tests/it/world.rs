//! A company with at least one record of every kind, and sample arguments for every tool.

use std::collections::BTreeMap;
use std::sync::Arc;

use bureau_identity::assistant::{About, ChatProvider, Completion, Request, SharedProvider, Usage};
use bureau_kit::access::Verified;
use bureau_kit::error::Result;
use bureau_kit::installation::SelfService;
use bureau_kit::registry::Entry;
use bureau_kit::sql::Sql;
use bureau_kit::time::Instant;
use bureau_kit::tool::BoxFuture;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::accounts;
use crate::onboarding;
use crate::support::Tester;

/// A model that always says the same, whatever it is asked.
#[derive(Debug)]
pub struct Canned;

impl ChatProvider for Canned {
    fn about(&self) -> About {
        About { id: "canned".into(), name: "Canned".into(), model: "canned-1".into() }
    }

    fn complete(&self, _: Request) -> BoxFuture<'_, Result<Completion>> {
        let content = r#"{"intent": "general_chat", "tool_name": null, "confidence": 0.5, "reasoning": "canned"}"#;
        let completion = Completion { content: Some(content.into()), tool_calls: Vec::new(), usage: Usage::default() };
        Box::pin(std::future::ready(Ok(completion)))
    }

    fn check(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A company whose tables are filled, and its records by table name, oldest first.
pub struct World {
    pub owner: Tester,
    pub ids: BTreeMap<&'static str, Vec<Uuid>>,
    /// What samples need beside records, by the name after `$@`: other companies, tokens.
    pub others: BTreeMap<&'static str, String>,
}

/// Calls that fill a company. `$table` stands for the newest record of that table, `$table.N` for the Nth oldest.
const FOUNDATION: &[(&str, &str)] = &[
    ("organization_create", r#"{"name": "Oddział Kraków"}"#),
    ("team_create", r#"{"name": "Montaż"}"#),
    ("team_create", r#"{"name": "Sprzedaż"}"#),
    (
        "user_create",
        r#"{"email": "anna@example.com", "first_name": "Anna", "last_name": "Nowak", "role": "user", "password": "Kuchnia1!"}"#,
    ),
    ("user_create", r#"{"email": "zofia@example.com", "first_name": "Zofia", "last_name": "Lis", "role": "admin"}"#),
    ("user_create", r#"{"email": "piotr@example.com", "first_name": "Piotr", "last_name": "Mazur", "role": "user"}"#),
    ("user_update", r#"{"id": "$users.0", "password": "Kuchnia1!"}"#),
    ("role_create", r#"{"name": "Montaż", "features": ["organize.tasks.view"]}"#),
    ("group_create", r#"{"name": "Zamówienia", "user_ids": ["$users.1"]}"#),
    ("department_create", r#"{"name": "Produkcja", "user_setting_ids": ["$users.1"]}"#),
    ("setting_set", r#"{"key": "organize.tasks.per_page", "value": 20}"#),
    ("user_group_type_create", r#"{"name": "Brygada", "groups": ["Pierwsza"]}"#),
    ("sidebar_preference_update", r#"{"locale": "uk", "applyToRoles": ["$roles.2"]}"#),
    ("company_create", r#"{"name": "Meble Żółć"}"#),
    (
        "person_create",
        r#"{"name": "Łukasz Wójcik", "primary_email": "lukasz@example.org", "organization": "$parties.0"}"#,
    ),
    ("person_create", r#"{"name": "Lukasz Wojcik", "primary_email": "lukasz.w@example.org"}"#),
    ("person_create", r#"{"name": "Ewa Król", "primary_email": "ewa@example.org"}"#),
    ("contract_create", r#"{"numer": "K/1", "typ": "kuchnia", "customer_id": "$parties.1"}"#),
    ("contract_valuation_create", r#"{"contract_id": "$contracts", "meble": "100.00"}"#),
    (
        "contract_payment_method_create",
        r#"{"contract_id": "$contracts", "typ": "Zadatek", "rodzaj": "gotowka", "cena": "100", "potwierdzona": true}"#,
    ),
    ("contract_create", r#"{"numer": "K/2", "typ": "szafa", "customer_id": "$parties.2"}"#),
    (
        "contract_furniture_create",
        r#"{"contract_id": "$contracts.0", "grupa_meblowa": "dolne", "korpus": "dąb", "pcv": "2 mm"}"#,
    ),
    ("contract_front_create", r#"{"contract_id": "$contracts.0", "typ": "frezowany", "kolor": "zieleń"}"#),
    ("contract_handle_create", r#"{"contract_id": "$contracts.0", "typ": "gałka", "sztuk": 8}"#),
    ("contract_vitrine_create", r#"{"contract_id": "$contracts.0", "typ_ramy": "drewno", "szyba": "ryflowana"}"#),
    (
        "contract_appliance_create",
        r#"{"contract_id": "$contracts.0", "rodzaj": "zmywarka", "firma": "Żabka", "cena": "1999"}"#,
    ),
    ("contract_assembly_note_create", r#"{"contract_id": "$contracts.0", "uwagi": "winda do 150 kg"}"#),
    (
        "contract_work_rating_create",
        r#"{"contract_id": "$contracts.0", "uzytkownik_id": "$users.0", "kwota": "500", "ocena": 5, "typ_pracownika": "montazysta"}"#,
    ),
    ("contract_worker_assignment_create", r#"{"contract_id": "$contracts.0", "uzytkownik_id": "$users.0"}"#),
    ("contract_installation_date_create", r#"{"contract_id": "$contracts.0", "data": "2026-12-07T08:00:00Z"}"#),
    (
        "contract_planned_payment_create",
        r#"{"contract_id": "$contracts.0", "typ": "Doplata", "rodzaj": "przelew", "cena": "50", "data": "2026-12-20"}"#,
    ),
    ("contract_text_template_create", r#"{"nazwa": "Gwarancja", "tresc": "Meble są objęte gwarancją."}"#),
    ("contract_text_template_create", r#"{"nazwa": "Sprzęt", "tresc": "Sprzęt jest objęty gwarancją producenta."}"#),
    (
        "contract_text_attachment_create",
        r#"{"contract_id": "$contracts.0", "template_id": "$contract_text_templates.0"}"#,
    ),
    (
        "contract_purchase_order_create",
        r#"{"contract_id": "$contracts.0", "nazwa": "Prowadnice", "ilosc": 12, "dostawca": "Okucia", "data_wyslania": "2026-11-25"}"#,
    ),
    ("worker_profile_create", r#"{"user_id": "$users.1", "notatnik": "prawo jazdy kat. C"}"#),
    ("contract_warranty_print", r#"{"id": "$contracts.0", "data_wydania": "2026-11-20", "form": "neither"}"#),
    (
        "transaction_create",
        r#"{"nazwa": "Wpłata", "kwota": "500", "typ": "przychod", "rodzaj": "gotowka", "data": "2026-11-02", "uzytkownik_id": "$users.0", "contract_id": "$contracts.0"}"#,
    ),
    (
        "transaction_create",
        r#"{"nazwa": "Kasa firmy", "kwota": "900.50", "typ": "przychod", "rodzaj": "gotowka", "data": "2026-11-03", "kategoria": "start"}"#,
    ),
    (
        "transaction_create",
        r#"{"nazwa": "Paliwo", "kwota": "210.99", "typ": "rozchod", "rodzaj": "karta", "data": "2026-11-04"}"#,
    ),
    ("approval_create", r#"{"transaction_id": "$transactions", "reviewer_id": "$users.2", "komentarz": "proszę"}"#),
    ("warehouse_location_create", r#"{"nazwa": "Hala A"}"#),
    ("warehouse_location_create", r#"{"nazwa": "Hala B"}"#),
    (
        "material_create",
        r#"{"typ": "plyta", "producent": "Egger", "symbol": "H1145", "dlugosc": 2800, "szerokosc": 2070, "grubosc": "18", "cala": true, "ilosc": 40}"#,
    ),
    (
        "material_create",
        r#"{"typ": "blat", "producent": "Kronospan", "symbol": "K4893", "dlugosc": 1200, "szerokosc": 600, "cala": false, "pozostalo": "1200 x 600", "ilosc": 1}"#,
    ),
    (
        "goods_issue_create",
        r#"{"contract_id": "$contracts.0", "nr": "WZ/1", "data": "2026-11-20T09:00:00Z", "kwota": "1200.00", "location_id": "$warehouse_locations.0", "pozycje": [{"material_id": "$materials.0", "ilosc": 4}]}"#,
    ),
    (
        "calendar_event_create",
        r#"{"pracownik_id": "$users.1", "data": "2026-11-23T08:00:00Z", "koniec": "2026-11-23T12:00:00Z", "typ": "montaz_kuchni", "customer_id": "$parties.1", "contract_id": "$contracts.0"}"#,
    ),
    ("calendar_event_update", r#"{"id": "$calendar_events", "data": "2026-11-24T08:00:00Z"}"#),
    ("calendar_event_create", r#"{"pracownik_id": "$users.1", "data": "2026-11-25T08:00:00Z", "typ": "pomiar"}"#),
    ("calendar_event_create", r#"{"pracownik_id": "$users.1", "data": "2026-11-26T08:00:00Z", "typ": "pomiar"}"#),
    ("blocked_day_create", r#"{"dzien": "2026-12-25", "powod": "Boże Narodzenie"}"#),
    ("measurement_create", r#"{"customer_id": "$parties.1", "kwota": "150", "uzytkownik_id": "$users.1"}"#),
    ("measurement_create", r#"{"customer_id": "$parties.2", "kwota": 200}"#),
    ("message_create", r#"{"recipient_id": "$users.1", "temat": "Jutro", "tresc": "Montaż o ósmej."}"#),
    ("dictionary_create", r#"{"key": "dostawa", "name": "Sposoby dostawy"}"#),
    ("dictionary_entry_create", r#"{"dictionary_id": "$dictionaries", "value": "kurier"}"#),
    (
        "customer_address_create",
        r#"{"entity_id": "$parties.1", "address_line1": "Szeroka 1", "city": "Gdańsk", "is_primary": true}"#,
    ),
    ("customer_comment_create", r#"{"entity_id": "$parties.1", "body": "Prosi o telefon po 16."}"#),
    ("client_note_create", r#"{"noteable_id": "$parties.1", "content": "Ma psa."}"#),
    (
        "client_create",
        r#"{"name": "Hurt sp. z o.o.", "nip": "526-025-09-95", "external_id": "C-1", "app_code": "sklep"}"#,
    ),
    ("contact_create", r#"{"name": "Ola Hurt", "client_id": "$parties", "phone": "+48 500 600 700"}"#),
    ("pipeline_create", r#"{"name": "Biura"}"#),
    ("pipeline_stage_create", r#"{"pipeline": "$pipelines", "name": "Rozmowa"}"#),
    ("lead_source_create", r#"{"name": "Targi"}"#),
    (
        "deal_create",
        r#"{"title": "Kuchnia Król", "person": "$parties.3", "value_net": "20000", "external_id": "D-1", "app_code": "sklep"}"#,
    ),
    ("activity_create", r#"{"deal": "$deals", "activity_type": "call", "schedule_from": "2026-11-24T09:00:00Z"}"#),
    ("project_create", r#"{"name": "Kuchnie"}"#),
    ("project_create", r#"{"name": "Pusty"}"#),
    ("tasklist_create", r#"{"name": "Listopad", "kind": "sprint", "project_id": "$projects.0"}"#),
    ("task_create", r#"{"title": "Pomiar", "project_id": "$projects.0", "client_id": "$parties.2", "tags": "pilne"}"#),
    ("task_create", r#"{"title": "Montaż"}"#),
    (
        "task_comment_create",
        r#"{"content": "Kiedy?", "commentable_id": "$tasks.0", "commentable_type": "Organize::Task", "responsible_id": "$users.1"}"#,
    ),
    ("tag_create", r#"{"name": "vip"}"#),
    ("tag_create", r#"{"name": "stary"}"#),
    ("tag_assign", r#"{"tag_id": "$tags.1", "subject_type": "party", "subject_id": "$parties.2"}"#),
    ("subscribe", r#"{"id_task": "$tasks.0", "email_user": "anna@example.com"}"#),
    ("add_contact_group", r#"{"title": "Dostawcy"}"#),
    ("add_contact", r#"{"email": "hurt@example.org", "name": "Jan Hurt", "group": "Dostawcy"}"#),
    ("api_key_create", r#"{"name": "ci"}"#),
    ("session_create", r#"{"label": "agent", "ttl_minutes": 60}"#),
    (
        "webhook_create",
        r#"{"url": "https://hooks.example.com/tags", "source_type": "tag", "kind": "*", "api_token": "hush"}"#,
    ),
    ("tag_create", r#"{"name": "do cofnięcia"}"#),
    ("action_undo", r#"{"undo_token": "$done actions"}"#),
    ("tag_create", r#"{"name": "ostatni"}"#),
    (
        "contact_import_run",
        r#"{"resource": "person", "content": "Imię,Nazwisko,E-mail\nEwa,Plikowa,ewa.plikowa@example.org\n", "file_name": "osoby.csv"}"#,
    ),
];

/// Arguments where a schema alone does not tell sensible ones. Several lines of one tool are several samples.
const SAMPLES: &[(&str, &str)] = &include!("samples.in");

impl World {
    pub async fn new() -> Self {
        Self::of(Tester::new().await).await
    }

    pub async fn of(owner: Tester) -> Self {
        owner.bureau.provide::<SharedProvider>(Arc::new(Canned));
        let mut world = Self { owner, ids: BTreeMap::new(), others: BTreeMap::new() };
        for (tool, arguments) in FOUNDATION {
            world.refresh().await;
            let arguments = world.filled(arguments);
            world.owner.ok(tool, arguments).await;
        }
        world.colleague().await;
        world.link_account().await;
        world.add_domains().await;
        world.prepare_installation().await;
        world.mail_reset().await;
        world.refresh().await;
        world
    }

    /// What only somebody else can have done: nobody approves or accepts what is their own.
    async fn colleague(&mut self) {
        self.refresh().await;
        let key = self.owner.ok("api_key_create", json!({"name": "Zofia", "user_id": self.id("users.2")})).await;
        let zofia = self.owner.with_token(key["secret"].as_str().unwrap());
        let income = json!({"nazwa": "Zaliczka", "kwota": "300", "typ": "przychod", "rodzaj": "gotowka", "data": "2026-11-05", "uzytkownik_id": self.id("users.2")});
        zofia.ok("transaction_create", income).await;
        let expense = json!({"nazwa": "Hotel", "kwota": 80, "typ": "rozchod", "rodzaj": "przelew", "data": "2026-11-06", "oczekuje": true});
        zofia.ok("transaction_create", expense).await;
        for _ in 0..2 {
            zofia.ok("transfer_create", json!({"recipient_user_id": self.id("users.0"), "kwota": "100"})).await;
        }
        let message = json!({"recipient_id": self.id("users.0"), "temat": "Faktury", "tresc": "Są na biurku."});
        zofia.ok("message_create", message).await;
    }

    /// An account at an OAuth issuer comes by its first token, not by a tool.
    async fn link_account(&self) {
        let users = self.owner.ok("user_list", json!({"page_size": 1})).await;
        let ends = Instant::parse("2027-01-01T00:00:00Z").unwrap();
        let mut verified = Verified::new("token", "https://login.example.com", "account", ends);
        verified.email = users["items"][0]["email"].as_str().map(str::to_owned);
        verified.tenant = Some(self.owner.tenant_id.to_string());
        self.owner.bureau.link(&verified).await.unwrap();
    }

    /// A domain that is proven, and one whose proof stands ready.
    async fn add_domains(&self) {
        for (name, proven) in [("shop", true), ("www", false)] {
            let name = format!("{name}.{}.example.com", self.owner.tenant_id);
            let domain = self.owner.ok("domain_create", json!({"domain": name})).await;
            self.owner.zone.says(&name, &[domain["verification"].as_str().unwrap()]);
            if proven {
                self.owner.ok("domain_verify", json!({"id": domain["id"]})).await;
            }
        }
    }

    /// What only an administrator of the installation can make.
    async fn prepare_installation(&mut self) {
        let principal = self.owner.bureau.principal(&self.owner.shown).await.unwrap();
        let mut spare = self.owner.tenant_id.to_string();
        if principal.is_super_admin {
            let made = self.owner.ok("tenant_create", json!({"name": "Zapasowa"})).await;
            spare = made["id"].as_str().unwrap().to_owned();
            for (identifier, kind, value) in [
                ("new_kitchen", "boolean", json!(false)),
                ("spare_toggle", "boolean", json!(false)),
                ("greeting", "string", json!("Dzień dobry")),
                ("discount", "number", json!(0.5)),
                ("layout", "json", json!({"columns": 3})),
            ] {
                let toggle =
                    json!({"identifier": identifier, "name": "Nowa kuchnia", "type": kind, "default_value": value});
                self.owner.ok("feature_toggle_create", toggle).await;
            }
            let own = json!({"toggle_id": "greeting", "is_override": true, "override_value": "Hej"});
            self.owner.ok("feature_toggle_override_update", own).await;
        }
        self.others.insert("spare_tenant", spare);
        self.owner.bureau.installation.allow_self_service(SelfService::Verified);
        let name = format!("{}@waiting.example.org", self.owner.tenant_id);
        let token = onboarding::asked(&self.owner, &name).await;
        self.others.insert("onboarding_token", token);
    }

    /// The token of a reset exists in the mail only: made here as its carrier makes it.
    async fn mail_reset(&mut self) {
        let tenant = self.owner.tenant_id;
        self.owner.ok("password_reset_request", json!({"email": "piotr@example.com", "tenant_id": tenant})).await;
        let [reset] = accounts::resets(&self.owner).await[..] else { panic!("one reset") };
        let (token, _) = accounts::mailed(&self.owner, reset).await.unwrap();
        self.others.insert("reset_token", token);
        let invited = self.owner.ok("person_invite", json!({"id": self.id("parties.1")})).await;
        let invitation = Uuid::try_parse(invited["invitation_id"].as_str().unwrap()).unwrap();
        let (token, _) = accounts::mailed_of(&self.owner, "invitation", invitation).await.unwrap();
        self.others.insert("invitation_token", token);
    }

    async fn refresh(&mut self) {
        let found = self.owner.bureau.as_system(self.owner.tenant_id, None, "ids", |ctx| {
            Box::pin(async move {
                let mut ids = BTreeMap::new();
                for table in bureau::catalog::tables() {
                    let mut sql: Sql = ctx.select("id", table);
                    sql.push(if table.numbered { " ORDER BY num" } else { " ORDER BY created_at, id" });
                    let rows = ctx.rows(&sql).await?;
                    ids.insert(table.name, rows.iter().map(|row| row.get(0)).collect::<Result<Vec<Uuid>>>()?);
                }
                // Actions are no described table; undo and redo need one of each state, made on purpose at the end.
                let newest_tag = ids.get("tags").and_then(|tags: &Vec<Uuid>| tags.last()).copied();
                for (name, state) in [("done actions", "done"), ("undone actions", "undone")] {
                    let mut sql = Sql::new("SELECT id FROM action_logs WHERE tool = 'tag_create' AND tenant_id = ");
                    sql.bind(ctx.tenant_id()).and_eq("state", state);
                    if state == "done" {
                        sql.and_eq("resource_id", newest_tag);
                    }
                    let rows = ctx.rows(&sql).await?;
                    ids.insert(name, rows.iter().map(|row| row.get(0)).collect::<Result<Vec<Uuid>>>()?);
                }
                let mut sql = Sql::new("SELECT id FROM outbox WHERE kind = 'webhook' AND tenant_id = ");
                sql.bind(ctx.tenant_id()).push(" ORDER BY created_at, id");
                let rows = ctx.rows(&sql).await?;
                let deliveries = rows.iter().map(|row| row.get(0)).collect::<Result<Vec<Uuid>, _>>()?;
                ids.insert("webhook deliveries", deliveries);
                Ok(ids)
            })
        });
        self.ids = found.await.unwrap();
    }

    /// The record that `table` or `table.N` names.
    pub fn id(&self, name: &str) -> Uuid {
        let (table, place) = name.split_once('.').unwrap_or((name, ""));
        let ids = self.ids.get(table).unwrap_or_else(|| panic!("there is no table {table}"));
        let id = if place.is_empty() { ids.last() } else { ids.get(place.parse::<usize>().unwrap()) };
        *id.unwrap_or_else(|| panic!("the world has no record {name}"))
    }

    /// A sample with its `$` names replaced by ids.
    pub fn filled(&self, text: &str) -> Value {
        fn fill(world: &World, value: Value) -> Value {
            match value {
                Value::String(text) => match (text.strip_prefix("$@"), text.strip_prefix('$')) {
                    (Some(name), _) => json!(world.others[name]),
                    (None, Some(name)) => json!(world.id(name)),
                    (None, None) => Value::String(text),
                },
                Value::Array(items) => items.into_iter().map(|item| fill(world, item)).collect(),
                Value::Object(members) => {
                    Value::Object(members.into_iter().map(|(key, value)| (key, fill(world, value))).collect())
                }
                other => other,
            }
        }
        fill(self, serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}")))
    }

    /// Sample arguments of a tool: those written down, else what its schema requires.
    pub fn samples(&self, entry: &Entry) -> Vec<Value> {
        let written: Vec<Value> = SAMPLES
            .iter()
            .filter(|(tool, _)| *tool == entry.tool.name)
            .map(|(_, arguments)| self.filled(arguments))
            .collect();
        if written.is_empty() { vec![self.by_schema(&entry.tool.input_schema())] } else { written }
    }

    fn by_schema(&self, schema: &Value) -> Value {
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut arguments = Map::new();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            if required.contains(&name.as_str()) {
                arguments.insert(name.clone(), self.value(name, property));
            }
        }
        Value::Object(arguments)
    }

    fn value(&self, name: &str, schema: &Value) -> Value {
        if let Some(table) = schema["x-record"].as_str() {
            return json!(self.id(if table == "*" { "tasks" } else { table }));
        }
        if let Some(choices) = schema["enum"].as_array() {
            return choices[0].clone();
        }
        match schema["type"].as_str().unwrap_or("string") {
            "integer" => schema["minimum"].as_i64().unwrap_or(1).max(1).into(),
            "boolean" => json!(true),
            "array" => json!([self.value(name, &schema["items"])]),
            "object" => self.by_schema(schema),
            _ => match schema["format"].as_str() {
                Some("date") => json!("2026-11-23"),
                Some("date-time") => json!("2026-11-23T08:00:00Z"),
                _ if schema["pattern"].as_str().is_some_and(|pattern| pattern.contains("\\.")) => json!("12.50"),
                _ if name.contains("email") => json!("nowy@example.org"),
                _ => json!(format!("sample {name}")),
            },
        }
    }
}

/// Every place in sample arguments that holds an id, by JSON pointer.
pub fn id_places(value: &Value) -> Vec<String> {
    fn walk(value: &Value, path: &str, places: &mut Vec<String>) {
        match value {
            Value::String(text) if Uuid::try_parse(text).is_ok() => places.push(path.to_owned()),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(index, item)| walk(item, &format!("{path}/{index}"), places));
            }
            Value::Object(members) => {
                members.iter().for_each(|(key, member)| walk(member, &format!("{path}/{key}"), places));
            }
            _ => {}
        }
    }
    let mut places = Vec::new();
    walk(value, "", &mut places);
    places
}

fn with(arguments: &Value, name: &str, value: Value) -> Value {
    let mut arguments = arguments.clone();
    arguments[name] = value;
    arguments
}

/// The tool's reserved arguments stand beside its own; an executor passes those of the tool it runs.
pub fn with_reserved(entry: &Entry, arguments: &Value, name: &str, value: Value) -> Value {
    if entry.tool.name.starts_with("tool_call_") {
        with(arguments, "arguments", with(&arguments["arguments"], name, value))
    } else {
        with(arguments, name, value)
    }
}

/// The same call with `dry_run`, where that means something to the tool.
pub fn dry(entry: &Entry, arguments: &Value) -> Value {
    if entry.tool.writes() { with_reserved(entry, arguments, "dry_run", json!(true)) } else { arguments.clone() }
}
