//! Finding a tool among hundreds, and carrying it out.

use std::collections::HashMap;
use std::sync::OnceLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::gate::DISCOVERY;
use crate::registry::{Entry, Registry, Toolset};
use crate::text::fold;
use crate::tool::{Danger, Executes, Tool};

/// Search, executors and batches: part of every list.
pub fn toolset() -> Toolset {
    let executors: [(&[Danger], _, _, _); 3] = [
        (
            &[Danger::Read],
            "tool_call_read",
            "Read through any tool",
            "Carry out any tool that only reads. Find its name and arguments with tool_search.",
        ),
        (
            &[Danger::Write],
            "tool_call_write",
            "Write through any tool",
            "Carry out any tool that adds or changes records without removing or overwriting anything for good. Find its name and arguments with tool_search; put dry_run into the arguments to try it first.",
        ),
        (
            &[Danger::Destructive],
            "tool_call_destructive",
            "Remove through any tool",
            "Carry out any tool that deletes, merges or replaces records. Find its name and arguments with tool_search; put dry_run into the arguments to see what would go.",
        ),
    ];
    let mut tools = vec![
        Tool::read("tool_search", "", search)
            .title("Find a tool")
            .about(
                "Find the tools for what you want to do, in English, Polish or Ukrainian words. Answers the best matches you may \
                 use, with their input schemas. Call one by its own name, or through tool_call_read, tool_call_write or \
                 tool_call_destructive as its `call_with` says.",
            )
            .synonyms("help discover catalog list tools znajdź narzędzie szukaj пошук інструмент знайти"),
    ];
    for (dangers, name, title, about) in executors {
        tools.push(executor(name, dangers).title(title).about(about));
    }
    tools.push(crate::batch::tool());
    Toolset { name: DISCOVERY, about: "Finding tools, and calling them singly or together.", tools }
}

fn executor(name: &'static str, dangers: &'static [Danger]) -> Tool {
    Tool::executor(name, "", Executes { dangers, name: &["name"], arguments: &["arguments"], enveloped: false })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SearchInput {
    /// What you want to do, such as "settle a contract" or "rozlicz umowę".
    query: String,
    /// Most tools to answer, 1 to 20; 5 when left out.
    #[schemars(range(min = 1, max = 20))]
    limit: Option<usize>,
    /// Only tools of this toolset.
    toolset: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct SearchOutput {
    /// The best matches first.
    items: Vec<Hit>,
    /// What to do when nothing fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Hit {
    /// Name of the tool.
    name: String,
    /// Its title.
    title: String,
    /// What it does.
    description: String,
    /// Its toolset.
    toolset: String,
    /// The executor that carries it out, when it is not in your list.
    call_with: String,
    /// Schema of its arguments.
    input_schema: Map<String, Value>,
}

async fn search(ctx: &mut Ctx, input: SearchInput) -> Result<SearchOutput> {
    let limit = input.limit.unwrap_or(5);
    if !(1..=20).contains(&limit) {
        return Err(Error::invalid("/limit", "expected a whole number from 1 to 20"));
    }
    let bureau = ctx.bureau().clone();
    let registry = &bureau.registry;
    if let Some(name) = &input.toolset
        && !registry.toolsets().iter().any(|(toolset, _)| toolset == name)
    {
        let names: Vec<&str> = registry.toolsets().iter().map(|(name, _)| *name).collect();
        return Err(Error::invalid(
            "/toolset",
            format!("there is no toolset `{name}`; expected one of {}", names.join(", ")),
        ));
    }
    let mut items = Vec::new();
    for entry in registry.ranked(&input.query) {
        let wanted = input.toolset.as_ref().is_none_or(|name| name == entry.toolset);
        if !wanted || entry.tool.executes.is_some() || !bureau.admits(&ctx.principal, &ctx.selection, entry) {
            continue;
        }
        let Value::Object(input_schema) = crate::schema::published(&entry.tool.input_schema()) else { continue };
        items.push(Hit {
            name: entry.tool.name.to_owned(),
            title: entry.tool.title.to_owned(),
            description: entry.tool.about.clone(),
            toolset: entry.toolset.to_owned(),
            call_with: crate::gate::executor_for(entry.tool.danger()).to_owned(),
            input_schema,
        });
        if items.len() == limit {
            break;
        }
    }
    let hint = items.is_empty().then(|| {
        let names: Vec<&str> = registry.toolsets().iter().map(|(name, _)| *name).collect();
        format!("Nothing you may use fits these words. Try others, or one of the toolsets: {}.", names.join(", "))
    });
    Ok(SearchOutput { items, hint })
}

/// Words of all tools, weighted by how rare they are and where they stand.
#[derive(Debug)]
pub(crate) struct SearchIndex {
    /// For each word: tools that have it, with the weight of the place.
    words: HashMap<String, Vec<(usize, f64)>>,
    /// What each tool's score is taken times: less, the more words its name has.
    plainness: Vec<f64>,
}

/// What people say for the verb at the end of a tool's name.
const VERBS: &[(&str, &str)] = &[
    ("create", "add new save register make dodaj utwórz załóż nowy nowa zapisz додай створи новий нова запиши"),
    ("list", "show find look search who pokaż znajdź wyszukaj lista jakie który покажи знайди список які хто"),
    ("show", "see details pokaż zobacz szczegóły покажи подивись"),
    ("update", "change edit correct fix zmień popraw edytuj зміни виправ онови"),
    ("delete", "remove usuń skasuj видали прибери"),
    ("assign", "put attach mark oznacz przypisz познач додай"),
    ("merge", "join same duplicate połącz scal об'єднай"),
];

/// What people say for the words in tools' names.
const NOUNS: &[(&str, &str)] = &[
    ("person", "client customer contact lead klient kontrahent osoba kontakt клієнт замовник особа контакт"),
    ("company", "client customer firm firma klient kontrahent фірма компанія клієнт"),
    ("contract", "umowa договір договору угода"),
    ("task", "zadanie завдання"),
    ("tag", "label etykieta тег мітка"),
    ("project", "projekt проєкт"),
    ("team", "zespół команда"),
    ("user", "employee account pracownik użytkownik працівник користувач"),
    ("material", "goods stock towar materiał товар матеріал"),
    ("warehouse", "magazyn склад"),
    ("calendar", "appointment meeting kalendarz termin spotkanie календар зустріч"),
    ("message", "wiadomość повідомлення"),
    ("webhook", "notify website powiadom strona сповіщай сайт"),
    ("deal", "szansa sprzedaż угода продаж"),
    ("measurement", "pomiar замір"),
    ("role", "rola роль"),
    ("session", "sesja сеанс"),
];

/// What is said in place of the words of a tool's name.
fn spoken(name: &str, table: &[(&str, &str)]) -> String {
    let said = |word: &str| table.iter().find(|(known, _)| *known == word).map(|(_, words)| *words);
    name.split('_').filter_map(said).collect::<Vec<_>>().join(" ")
}

/// Weight of a word by the place it stands in.
const IN_NAME: f64 = 6.0;
const IN_TITLE: f64 = 4.0;
const IN_SYNONYMS: f64 = 4.0;
const IN_VERBS: f64 = 2.5;
const IN_ABOUT: f64 = 1.5;
const IN_PARAMETERS: f64 = 0.6;
/// By how much each further word of a tool's name lowers its score.
const PART_COSTS: f64 = 0.06;

impl SearchIndex {
    fn new(registry: &Registry) -> Self {
        let mut words: HashMap<String, Vec<(usize, f64)>> = HashMap::new();
        for (index, entry) in registry.entries().iter().enumerate() {
            let tool = &entry.tool;
            let schema = tool.input_schema();
            let mut parameters = String::new();
            for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
                parameters.push_str(name);
                parameters.push(' ');
                parameters.push_str(property.get("description").and_then(Value::as_str).unwrap_or_default());
                parameters.push(' ');
            }
            let mut weights: HashMap<String, f64> = HashMap::new();
            let (nouns, verbs) = (spoken(tool.name, NOUNS), spoken(tool.name, VERBS));
            let places = [
                (tool.name, IN_NAME),
                (tool.title, IN_TITLE),
                (tool.synonyms, IN_SYNONYMS),
                (nouns.as_str(), IN_SYNONYMS),
                (verbs.as_str(), IN_VERBS),
                (tool.about.as_str(), IN_ABOUT),
                (parameters.as_str(), IN_PARAMETERS),
            ];
            for (text, weight) in places {
                // A word counts once, at its best place: long descriptions gain nothing by repeating themselves.
                for word in stems(text) {
                    let best = weights.entry(word).or_default();
                    *best = best.max(weight);
                }
            }
            for (word, weight) in weights {
                words.entry(word).or_default().push((index, weight));
            }
        }
        let parts = |entry: &Entry| entry.tool.name.matches('_').count() as f64;
        let plainness = registry.entries().iter().map(|entry| 1.0 / (1.0 + PART_COSTS * parts(entry))).collect();
        Self { words, plainness }
    }

    /// Tools that have any of the words, best first.
    fn ranked(&self, query: &str) -> Vec<usize> {
        let mut scores: HashMap<usize, f64> = HashMap::new();
        for word in stems(query) {
            let meant: Vec<(&Vec<(usize, f64)>, f64)> = match self.words.get(&word) {
                Some(found) => vec![(found, 1.0)],
                // Not a word of any tool: take those that begin with it, or nearly are it.
                None => {
                    let near = |known: &&String| {
                        known.starts_with(&word)
                            || word.starts_with(known.as_str())
                            || strsim::jaro_winkler(known, &word) > 0.92
                    };
                    self.words
                        .iter()
                        .filter(|(known, _)| known.chars().count() > 3 && near(known))
                        .map(|(_, found)| (found, 0.5))
                        .collect()
                }
            };
            for (found, likeness) in meant {
                // How often it is met, by where: a word of many descriptions may still name one tool.
                let met: f64 = found.iter().map(|(_, weight)| weight / IN_NAME).sum();
                let rarity = (1.0 + self.plainness.len() as f64 / met).ln();
                for (index, weight) in found {
                    *scores.entry(*index).or_default() += weight * rarity * likeness;
                }
            }
        }
        // Of tools that fit alike, the one with the plainer name is meant: a contract, not its text attachments.
        for (index, score) in &mut scores {
            *score *= self.plainness.get(*index).copied().unwrap_or(1.0);
        }
        let mut ranked: Vec<(usize, f64)> = scores.into_iter().collect();
        ranked.sort_by(|(one, first), (two, second)| second.total_cmp(first).then(one.cmp(two)));
        ranked.into_iter().map(|(index, _)| index).collect()
    }
}

/// Words that say nothing about what is wanted, folded.
const FILLERS: &[&str] = &[
    "a", "an", "the", "of", "to", "for", "in", "on", "with", "and", "or", "is", "are", "be", "it", "its", "this",
    "that", "by", "as", "at", "from", "all", "my", "me", "i", "what", "how", "which", "am", "do", "does", "can",
    "please", "want", "need", "when", "up", "out", "into", "our", "we", "us", "he", "she", "they", "has", "have",
    "had", "some", "there", "these", "those", "so", "not", "yet", "still", "t", "w", "z", "ze", "na", "za", "o", "od",
    "po", "dla", "jak", "co", "sie", "mi", "moje", "nam", "nas", "nasza", "jest", "sa", "mamy", "у", "в", "на", "за",
    "по", "з", "із", "зі", "і", "та", "до", "для", "як", "що", "моі", "наш", "наша", "нас", "мене", "мені", "є",
];

/// Folded words cut to their stems, so that forms of one word meet: "contracts", "umowę", "завдання".
fn stems(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in fold(text).split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
        if FILLERS.contains(&word) {
            continue;
        }
        let stem = stem(word);
        if !words.contains(&stem) {
            words.push(stem);
        }
    }
    words
}

/// Endings of Polish and Ukrainian nouns and verbs, longest first; English plurals and verb forms.
const ENDINGS: &[&str] = &[
    "owania",
    "owanie",
    "ование",
    "ування",
    "ання",
    "ення",
    "iami",
    "ami",
    "ach",
    "ego",
    "emu",
    "owi",
    "ing",
    "ies",
    "ые",
    "ами",
    "ями",
    "ому",
    "ого",
    "ів",
    "ow",
    "om",
    "em",
    "ie",
    "ia",
    "iu",
    "ed",
    "es",
    "у",
    "ю",
    "а",
    "я",
    "и",
    "і",
    "е",
    "о",
    "y",
    "e",
    "a",
    "o",
    "u",
    "i",
    "s",
];

fn stem(word: &str) -> String {
    let letters = word.chars().count();
    for ending in ENDINGS {
        // What is left must still tell words apart.
        if let Some(root) = word.strip_suffix(ending)
            && letters.saturating_sub(ending.chars().count()) >= 4
        {
            return root.to_owned();
        }
    }
    word.to_owned()
}

impl Registry {
    /// The tools that fit some words, the best first, whoever may use them.
    pub fn ranked(&self, query: &str) -> impl Iterator<Item = &Entry> {
        self.search_index().ranked(query).into_iter().filter_map(|index| self.entries().get(index))
    }

    /// Built at the first search, not at start: most processes never search.
    pub(crate) fn search_index(&self) -> &SearchIndex {
        self.search_index.get_or_init(|| SearchIndex::new(self))
    }
}

/// A place for the index in the registry.
pub(crate) type LazyIndex = OnceLock<SearchIndex>;
