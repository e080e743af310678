//! A believable company to try things on: a kitchen-furniture firm, the same at every run.
//!
//! Everything is made by tool calls of the owner, in batches, so that the demonstration also has an action log to look
//! at and to undo. Whatever looks random comes from one seed.

use std::sync::Arc;

use bureau_identity::founding::Founded;
use bureau_kit::access::Shown;
use bureau_kit::error::{Error, Result};
use bureau_kit::gate::{Bureau, Call, Origin, Outcome, Selection};
use serde_json::{Map, Value, json};

const PEOPLE: usize = 300;
const COMPANIES: usize = 100;
const CONTRACTS: usize = 60;
const TASKS: usize = 500;
/// People entered twice, as happens: each is worth a merge.
const DUPLICATES: usize = 6;
/// As many calls as one batch holds.
const BATCH: usize = 100;

const FIRST_NAMES: &[&str] = &[
    "Anna",
    "Łukasz",
    "Katarzyna",
    "Piotr",
    "Małgorzata",
    "Krzysztof",
    "Agnieszka",
    "Andrzej",
    "Ewa",
    "Tomasz",
    "Олена",
    "Joanna",
    "Paweł",
    "Magdalena",
    "Marcin",
    "Żaneta",
    "Michał",
    "Iwona",
    "Grzegorz",
    "Святослав",
    "Beata",
    "Jacek",
    "Ірина",
    "Dorota",
    "Robert",
    "Świętosława",
    "Rafał",
    "Halina",
    "Mariusz",
    "Оксана",
];
const LAST_NAMES: &[&str] = &[
    "Nowak",
    "Kowalska",
    "Wiśniewski",
    "Wójcik",
    "Kamińska",
    "Lewandowski",
    "Zielińska",
    "Szymański",
    "Woźniak",
    "Dąbrowska",
    "Kozłowski",
    "Jankowska",
    "Mazur",
    "Krawczyk",
    "Piotrowska",
    "Grabowski",
    "Шевченко",
    "Pawłowska",
    "Michalski",
    "Król",
    "Wieczorek",
    "Jabłońska",
    "Бондаренко",
    "Stępień",
    "Górska",
    "Rutkowski",
    "Sikora",
    "Ковальчук",
    "Baran",
    "Duda",
];
const TOWNS: &[&str] =
    &["Kraków", "Łódź", "Wrocław", "Poznań", "Gdańsk", "Lublin", "Rzeszów", "Львів", "Białystok", "Toruń"];
const TRADES: &[&str] =
    &["Meble", "Stolarnia", "Kamieniarstwo", "Hurtownia", "Studio", "Projekt", "AGD", "Okna", "Instal", "Dom"];
const JOBS: &[&str] =
    &["właściciel", "architekt wnętrz", "kierownik zakupów", "księgowa", "montażysta", "projektantka"];
const STAGES: &[&str] = &["lead", "qualified", "opportunity", "customer", "customer", "churned"];
const TASK_VERBS: &[&str] = &[
    "Zadzwonić do klienta w sprawie",
    "Przygotować wycenę:",
    "Zamówić fronty:",
    "Umówić pomiar:",
    "Sprawdzić dostawę:",
    "Wysłać ofertę:",
    "Poprawić projekt:",
    "Zaplanować montaż:",
    "Odebrać płatność:",
    "Prepare the measurements for",
];
const TASK_OBJECTS: &[&str] = &[
    "kuchnia dębowa",
    "szafa przesuwna",
    "blat kwarcowy",
    "zabudowa AGD",
    "kuchnia biała mat",
    "łazienka",
    "garderoba",
    "wyspa kuchenna",
];

/// A small generator with a fixed seed: the same company every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let sides = u64::try_from(sides.max(1)).unwrap_or(1);
        usize::try_from((self.0 >> 33).checked_rem(sides).unwrap_or_default()).unwrap_or_default()
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list.get(self.roll(list.len())).copied().unwrap_or_default()
    }
}

/// Calls tools as the owner.
struct Owner<'a> {
    bureau: &'a Arc<Bureau>,
    shown: Shown,
}

impl Owner<'_> {
    async fn call(&self, tool: &str, arguments: Value) -> Result<Value> {
        let Value::Object(arguments) = arguments else { return Err(Error::internal("arguments are an object")) };
        let call = Call {
            tool: tool.to_owned(),
            arguments,
            shown: Some(self.shown.clone()),
            selection: Selection::default(),
            origin: Origin { transport: "cli", client: Some("demo".into()), ..Origin::default() },
            dialogue: bureau_kit::dialogue::Dialogue::default(),
        };
        match self.bureau.call(call).await {
            Outcome::Done { body, is_error: false } => serde_json::from_slice(&body).map_err(Error::internal),
            Outcome::Done { body, .. } => Err(Error::internal(format!("{tool}: {}", String::from_utf8_lossy(&body)))),
            Outcome::UnknownTool(message) => Err(Error::internal(message)),
            Outcome::Asks(question) => Err(Error::internal(question.message)),
            Outcome::Unauthenticated(error) => Err(error),
        }
    }

    /// Calls one tool with many arguments; answers the ids of what came back.
    async fn many(&self, tool: &str, arguments: Vec<Value>) -> Result<Vec<String>> {
        let mut ids = Vec::with_capacity(arguments.len());
        for chunk in arguments.chunks(BATCH) {
            let calls: Vec<Value> =
                chunk.iter().map(|arguments| json!({"tool": tool, "arguments": arguments})).collect();
            let answer = self.call("batch_call", json!({"calls": calls})).await?;
            for result in answer.get("results").and_then(Value::as_array).into_iter().flatten() {
                ids.push(result.pointer("/result/id").and_then(Value::as_str).unwrap_or_default().to_owned());
            }
        }
        Ok(ids)
    }
}

/// Fills the company that was just founded.
pub async fn fill(bureau: &Arc<Bureau>, founded: &Founded) -> Result<()> {
    let owner = Owner { bureau, shown: Shown::Token(founded.token.clone()) };
    let mut dice = Dice(20_261_121);
    let users = staff(&owner, &mut dice).await?;
    let customers = customers(&owner, &mut dice, &users).await?;
    contracts(&owner, &mut dice, &users, &customers).await?;
    tasks(&owner, &mut dice, &users, &customers).await
}

/// A new token for a demonstration that was filled at an earlier start.
pub async fn another_token(bureau: &Arc<Bureau>) -> Result<String> {
    let owner = Owner { bureau, shown: Shown::LocalOwner };
    let answer = owner.call("api_key_create", json!({"name": "demonstration"})).await?;
    let secret = answer.get("secret").and_then(Value::as_str).map(str::to_owned);
    secret.ok_or_else(|| Error::internal("api_key_create answered no secret"))
}

/// A name as people write it in an address; for other alphabets they choose something plain.
fn address_part(name: &str) -> String {
    let letters: String = bureau_kit::text::fold(name).chars().filter(char::is_ascii_alphanumeric).collect();
    if letters.is_empty() { "mail".into() } else { letters }
}

async fn staff(owner: &Owner<'_>, dice: &mut Dice) -> Result<Vec<String>> {
    let titles = ["sprzedawca", "montażysta", "projektantka", "księgowa", "kierownik produkcji", "magazynier"];
    let users = (0..24).map(|index| {
        let (first, last) = (dice.pick(FIRST_NAMES), dice.pick(LAST_NAMES));
        let role = match index {
            0 | 1 => "admin",
            22 => "guest",
            23 => "reader",
            _ => "user",
        };
        json!({"email": format!("user{index}@example.com"), "first_name": first, "last_name": last, "role": role, "title": dice.pick(&titles)})
    });
    let users = owner.many("user_create", users.collect()).await?;
    let teams = [("Sprzedaż", 0), ("Produkcja", 1), ("Montaż", 2)]
        .map(|(name, lead)| json!({"name": name, "responsible_id": users.get(lead)}));
    owner.many("team_create", teams.to_vec()).await?;
    Ok(users)
}

async fn customers(owner: &Owner<'_>, dice: &mut Dice, users: &[String]) -> Result<Vec<String>> {
    let companies = (0..COMPANIES).map(|index| {
        let name = format!("{} {} {}", dice.pick(TRADES), dice.pick(LAST_NAMES), index.saturating_add(1));
        json!({"name": name, "address": {"city": dice.pick(TOWNS)}})
    });
    let companies = owner.many("company_create", companies.collect()).await?;
    let mut people: Vec<Value> = (0..PEOPLE)
        .map(|index| {
            let (first, last) = (dice.pick(FIRST_NAMES), dice.pick(LAST_NAMES));
            let mut person = Map::new();
            person.insert("name".into(), json!(format!("{first} {last}")));
            person.insert(
                "primary_email".into(),
                json!(format!("{}.{}{index}@example.org", address_part(first), address_part(last))),
            );
            person.insert(
                "contact_numbers".into(),
                json!([format!(
                    "+48 {} {:03} {:03}",
                    500_usize.saturating_add(dice.roll(300)),
                    dice.roll(1000),
                    dice.roll(1000)
                )]),
            );
            person.insert("lifecycle_stage".into(), json!(dice.pick(STAGES)));
            person.insert("owner".into(), json!(users.get(dice.roll(users.len()))));
            if dice.roll(3) > 0 {
                person.insert("organization".into(), json!(companies.get(dice.roll(companies.len()))));
                person.insert("job_title".into(), json!(dice.pick(JOBS)));
            }
            Value::Object(person)
        })
        .collect();
    // The same people once more, as a second salesperson typed them: another spelling, another address, the same phone.
    let copies: Vec<Value> = people
        .iter()
        .step_by(37)
        .take(DUPLICATES)
        .map(|person| {
            let mut copy = person.clone();
            let name = person.get("name").and_then(Value::as_str).unwrap_or_default();
            if let Some(copy) = copy.as_object_mut() {
                copy.insert("name".into(), json!(bureau_kit::text::fold(name)));
                copy.insert("primary_email".into(), json!(format!("{}@example.net", address_part(name))));
            }
            copy
        })
        .collect();
    people.extend(copies);
    owner.many("person_create", people).await
}

/// Contracts in every state: unvalued, unpaid, partly paid, paid, overpaid, settled, finished.
async fn contracts(owner: &Owner<'_>, dice: &mut Dice, users: &[String], customers: &[String]) -> Result<()> {
    let contracts = (0..CONTRACTS).map(|index| {
        json!({
            "numer": format!("K/{}/2026", index.saturating_add(1)),
            "typ": dice.pick(&["kuchnia", "szafa", "garderoba"]),
            "customer_id": customers.get(dice.roll(PEOPLE)),
            "uzytkownik_id": users.get(dice.roll(users.len())),
            "data_podpisania": format!("2026-{:02}-{:02}", dice.roll(10).saturating_add(1), dice.roll(28).saturating_add(1)),
            "opis": format!("{} w {}", dice.pick(TASK_OBJECTS), dice.pick(TOWNS)),
        })
    });
    let ids = owner.many("contract_create", contracts.collect()).await?;
    let (mut valuations, mut payments, mut paid) = (Vec::new(), Vec::new(), Vec::new());
    for (index, id) in ids.iter().enumerate() {
        let state = index.checked_rem(6).unwrap_or_default();
        if state == 0 {
            continue;
        }
        let zlote = |dice: &mut Dice, most: usize| dice.roll(most).saturating_add(5).saturating_mul(100);
        let (meble, dodatki, sprzet) = (zlote(dice, 250), zlote(dice, 30), zlote(dice, 80));
        let suma = meble.saturating_add(dodatki).saturating_add(sprzet);
        valuations
            .push(json!({"contract_id": id, "meble": meble, "dodatki": dodatki, "sprzet": format!("{sprzet}.00")}));
        let third = suma.checked_div(3).unwrap_or_default();
        let mut pay = |typ: &str, rodzaj: &str, cena: usize, potwierdzona: bool| {
            payments.push(json!({"contract_id": id, "typ": typ, "rodzaj": rodzaj, "cena": cena, "data": "2026-10-05", "potwierdzona": potwierdzona}));
        };
        match state {
            1 => pay("Zadatek", "przelew", third, false),
            2 => pay("Zadatek", "gotowka", third, true),
            3 => pay("Całość", "przelew", suma.saturating_add(100), true),
            _ => {
                pay("Zadatek", "gotowka", third, true);
                pay("Reszta", "przelew", suma.saturating_sub(third), true);
                if state == 5 {
                    paid.push(json!({"id": id}));
                }
            }
        }
    }
    owner.many("contract_valuation_create", valuations).await?;
    owner.many("contract_payment_method_create", payments).await?;
    let finished = paid
        .iter()
        .step_by(2)
        .filter_map(|contract| contract.get("id"))
        .map(|id| json!({"id": id, "zakonczona": true}));
    owner.many("contract_update", finished.collect()).await?;
    owner.many("contract_settle", paid).await?;
    Ok(())
}

async fn tasks(owner: &Owner<'_>, dice: &mut Dice, users: &[String], customers: &[String]) -> Result<()> {
    let projects = [
        "Kuchnie na jesień",
        "Salon w Krakowie",
        "Nowy katalog",
        "Reklamacje",
        "Magazyn",
        "Strona internetowa",
        "Targi",
        "Szkolenia",
    ];
    let projects = owner
        .many(
            "project_create",
            projects.map(|name| json!({"name": name, "responsible_id": users.get(dice.roll(users.len()))})).to_vec(),
        )
        .await?;
    let lists: Vec<Value> = projects
        .iter()
        .map(|project| json!({"name": "Listopad", "kind": "sprint", "project_id": project, "date_from": "2026-11-01", "date_to": "2026-11-30"}))
        .collect();
    let lists = owner.many("tasklist_create", lists).await?;
    let mut made = Vec::with_capacity(TASKS);
    for _ in 0..TASKS {
        let project = dice.roll(projects.len());
        let mut task = Map::new();
        task.insert("title".into(), json!(format!("{} {}", dice.pick(TASK_VERBS), dice.pick(TASK_OBJECTS))));
        task.insert("project_id".into(), json!(projects.get(project)));
        task.insert("responsible_id".into(), json!(users.get(dice.roll(users.len()))));
        task.insert("priority".into(), json!(dice.roll(11)));
        if dice.roll(2) == 0 {
            task.insert("tasklist_id".into(), json!(lists.get(project)));
        }
        if dice.roll(3) > 0 {
            task.insert(
                "deadline".into(),
                json!(format!(
                    "2026-{:02}-{:02}T12:00:00Z",
                    dice.roll(3).saturating_add(10),
                    dice.roll(28).saturating_add(1)
                )),
            );
        }
        if dice.roll(3) == 0 {
            task.insert("client_id".into(), json!(customers.get(dice.roll(PEOPLE))));
        }
        if dice.roll(4) == 0 {
            task.insert("tags".into(), json!(dice.pick(&["pilne", "montaż", "klient", "reklamacja"])));
        }
        made.push(Value::Object(task));
    }
    let ids = owner.many("task_create", made).await?;
    let closed = ids.iter().filter(|_| dice.roll(3) == 0).map(|id| json!({"id": id})).collect();
    owner.many("task_close", closed).await?;
    Ok(())
}
