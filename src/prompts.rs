//! The workflows that people repeat, as prompts: one entry here, and one text for each language in `prompts/`.
//!
//! A text is for the assistant that carries the workflow out. `{name}` stands for an argument. A line that begins with
//! `[if name]`, `[unless name]` or `[if name=value]` is left out when that is not so. Every tool that a text names in
//! backticks is needed: who may not use them all is not offered the prompt.

use std::collections::BTreeMap;

use bureau_kit::registry::{Entry, Registry};
use bureau_kit::time::Date;
use serde_json::{Map, Value};

/// The languages of the texts, in the order of [`Prompt::texts`].
pub const LANGUAGES: &[&str] = &["en", "pl", "uk"];
/// Letters in an argument at most: it becomes part of a text.
const LONGEST: usize = 1_000;

/// A workflow.
#[derive(Debug)]
pub struct Prompt {
    /// Its name.
    pub name: &'static str,
    /// Its title for people, in each language.
    pub titles: [&'static str; 3],
    /// What it is for, in one sentence.
    pub about: &'static str,
    arguments: &'static [Argument],
    texts: [&'static str; 3],
}

/// What a prompt can be given.
#[derive(Debug)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// What it is, and what happens when it is left out.
    pub about: &'static str,
    /// Whether it must be given.
    pub required: bool,
    /// What it takes.
    pub takes: Takes,
}

/// What an argument takes, and what completes it.
#[derive(Debug, Clone, Copy)]
pub enum Takes {
    /// One of these; the first when left out.
    OneOf(&'static [&'static str]),
    /// A record of this kind: its number, its UUID, or words that find it.
    Record(&'static str),
    /// The name of a record of this kind.
    NameOf(&'static str),
    /// A day; today when left out.
    Day,
    /// Any words.
    Text,
}

/// Every prompt takes it.
const LANGUAGE: Argument =
    optional("language", "Language of the text: en, pl or uk; en when left out.", Takes::OneOf(LANGUAGES));

const fn required(name: &'static str, about: &'static str, takes: Takes) -> Argument {
    Argument { name, about, required: true, takes }
}

const fn optional(name: &'static str, about: &'static str, takes: Takes) -> Argument {
    Argument { name, about, required: false, takes }
}

/// The files of a prompt's texts.
macro_rules! texts {
    ($name:literal) => {
        [
            include_str!(concat!("prompts/", $name, ".en.md")),
            include_str!(concat!("prompts/", $name, ".pl.md")),
            include_str!(concat!("prompts/", $name, ".uk.md")),
        ]
    };
}

/// All prompts.
pub const PROMPTS: &[Prompt] = &[
    Prompt {
        name: "merge_duplicates",
        titles: ["Find and merge duplicates", "Znajdź i scal duplikaty", "Знайти й об’єднати дублікати"],
        about: "Find people, companies or tags that are there twice, and merge them after a dry run and a yes.",
        arguments: &[
            optional(
                "kind",
                "What to look for: person, company or tag; person when left out.",
                Takes::OneOf(&["person", "company", "tag"]),
            ),
            optional("name", "Part of a name or e-mail, to look for that only; everything when left out.", Takes::Text),
        ],
        texts: texts!("merge_duplicates"),
    },
    Prompt {
        name: "settle_contract",
        titles: ["Settle a contract", "Rozlicz umowę", "Розрахувати договір"],
        about: "Check valuation, payments and balance of a contract, clear up what is open, and settle it.",
        arguments: &[required(
            "contract",
            "The contract: number, UUID, or words that find it.",
            Takes::Record("contract"),
        )],
        texts: texts!("settle_contract"),
    },
    Prompt {
        name: "plan_week",
        titles: ["Plan the week", "Zaplanuj tydzień", "Спланувати тиждень"],
        about: "Go through overdue and coming tasks, make a plan day by day, and write it down in one batch.",
        arguments: &[
            optional(
                "user",
                "Whose week: number, UUID, or words that find the user; your own when left out.",
                Takes::Record("user"),
            ),
            optional("day", "A day of the week to plan, such as 2026-11-23; today when left out.", Takes::Day),
        ],
        texts: texts!("plan_week"),
    },
    Prompt {
        name: "explain_changes",
        titles: [
            "Explain what changed and undo it",
            "Wyjaśnij, co się zmieniło, i cofnij to",
            "Пояснити, що змінилося, і скасувати",
        ],
        about: "Tell in plain words what was changed on a day, and take back what is not wanted.",
        arguments: &[
            optional("day", "The day, such as 2026-11-23; today when left out.", Takes::Day),
            optional("user", "Only what this user did: number, UUID, or words that find them.", Takes::Record("user")),
        ],
        texts: texts!("explain_changes"),
    },
    Prompt {
        name: "onboard_user",
        titles: ["Onboard a user", "Wprowadź nowego użytkownika", "Підготувати нового користувача"],
        about: "Set up a new user with the least role that is enough, and check what it opens.",
        arguments: &[
            required("email", "E-mail address of the new user.", Takes::Text),
            optional("name", "First and last name.", Takes::Text),
            optional("role", "Name or code of the role; proposed when left out.", Takes::NameOf("role")),
        ],
        texts: texts!("onboard_user"),
    },
    Prompt {
        name: "review_token",
        titles: ["Review the rights of a token", "Sprawdź uprawnienia tokenu", "Перевірити права токена"],
        about: "Tell what a session token may do, compare it with what it needs, and replace it by a narrower one.",
        arguments: &[optional(
            "session",
            "The session: number, UUID, or words that find it; that of this connection when left out.",
            Takes::Record("session"),
        )],
        texts: texts!("review_token"),
    },
];

/// Arguments that were checked, by name. Those with a usual value are always there.
pub type Values = BTreeMap<&'static str, String>;

impl Prompt {
    /// The prompt of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        PROMPTS.iter().find(|prompt| prompt.name == name)
    }

    /// Its arguments, `language` last.
    pub fn arguments(&self) -> impl Iterator<Item = &'static Argument> + use<> {
        self.arguments.iter().chain(std::iter::once(&LANGUAGE))
    }

    /// The argument of this name.
    pub fn argument(&self, name: &str) -> Option<&'static Argument> {
        self.arguments().find(|argument| argument.name == name)
    }

    /// What to say of an argument that it has not.
    pub fn unknown_argument(&self, name: &str) -> String {
        let names: Vec<&str> = self.arguments().map(|argument| argument.name).collect();
        format!("`{name}` is no argument of the prompt {}. It takes: {}.", self.name, names.join(", "))
    }

    /// Checks what was given. Empty text is as good as nothing: forms send it for fields left out.
    pub fn values(&self, given: &Map<String, Value>, today: Date) -> Result<Values, String> {
        if let Some(name) = given.keys().find(|name| self.argument(name).is_none()) {
            return Err(self.unknown_argument(name));
        }
        let mut values = Values::new();
        for argument in self.arguments() {
            let text = match given.get(argument.name) {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.trim().to_owned(),
                Some(Value::Number(number)) => number.to_string(),
                Some(_) => return Err(format!("`{}` must be text.", argument.name)),
            };
            let text = match (text.is_empty(), argument.takes) {
                (true, _) if argument.required => {
                    return Err(format!("The prompt {} needs `{}`. {}", self.name, argument.name, argument.about));
                }
                (true, Takes::OneOf(choices)) => choices.first().copied().unwrap_or_default().to_owned(),
                (true, Takes::Day) => today.to_string(),
                (true, _) => continue,
                (false, takes) => checked(argument.name, takes, &text)?,
            };
            values.insert(argument.name, text);
        }
        Ok(values)
    }

    /// The values of which a text depends, where nothing but one choice is given: one set for each choice.
    pub fn variants(&self) -> Vec<Values> {
        let choices = self.arguments.iter().find_map(|argument| match argument.takes {
            Takes::OneOf(choices) => Some((argument.name, choices)),
            _ => None,
        });
        match choices {
            None => vec![Values::new()],
            Some((name, choices)) => choices.iter().map(|&choice| Values::from([(name, choice.to_owned())])).collect(),
        }
    }

    /// The title in the language of the values.
    pub fn title(&self, values: &Values) -> &'static str {
        in_language(&self.titles, values)
    }

    /// The text for these values.
    pub fn text(&self, values: &Values) -> String {
        let lines: Vec<String> = self.lines(values).map(|line| filled(line, values)).collect();
        lines.join("\n")
    }

    /// The tools that the text for these values names.
    pub fn tools<'a>(&self, values: &Values, registry: &'a Registry) -> Vec<&'a Entry> {
        let mut tools: Vec<&Entry> = Vec::new();
        for name in self.lines(values).flat_map(|line| line.split('`').skip(1).step_by(2)) {
            if let Some(entry) = registry.find(name)
                && !tools.iter().any(|known| known.tool.name == entry.tool.name)
            {
                tools.push(entry);
            }
        }
        tools
    }

    fn lines<'a>(&self, values: &'a Values) -> impl Iterator<Item = &'static str> + use<'a> {
        in_language(&self.texts, values).lines().filter_map(|line| kept(line, values))
    }
}

fn in_language(texts: &[&'static str; 3], values: &Values) -> &'static str {
    let language = values.get("language").map_or("en", String::as_str);
    let place = LANGUAGES.iter().position(|name| *name == language).unwrap_or_default();
    texts.get(place).copied().unwrap_or_default()
}

/// A value of the form that its argument takes.
fn checked(name: &str, takes: Takes, text: &str) -> Result<String, String> {
    if text.chars().count() > LONGEST {
        return Err(format!("`{name}` may have {LONGEST} characters at most."));
    }
    match takes {
        Takes::OneOf(choices) if !choices.contains(&text) => {
            Err(format!("`{name}` must be one of {}; `{text}` is none of them.", choices.join(", ")))
        }
        Takes::Day => Date::parse(text).map(|day| day.to_string()).map_err(|why| format!("`{name}`: {why}.")),
        _ => Ok(text.to_owned()),
    }
}

/// A line without its condition; nothing when that is not so.
fn kept<'a>(line: &'a str, values: &Values) -> Option<&'a str> {
    let condition = |word: &str| line.strip_prefix(word)?.split_once("] ");
    if let Some((name, rest)) = condition("[unless ") {
        return (!values.contains_key(name)).then_some(rest);
    }
    let Some((wanted, rest)) = condition("[if ") else { return Some(line) };
    let holds = match wanted.split_once('=') {
        Some((name, value)) => values.get(name).is_some_and(|given| given == value),
        None => values.contains_key(wanted),
    };
    holds.then_some(rest)
}

/// A line with its arguments in place. What they hold is not looked at again.
fn filled(line: &str, values: &Values) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let named = after.split_once('}').and_then(|(name, after)| Some((values.get(name)?, after)));
        rest = match named {
            Some((value, after)) => {
                text.push_str(value);
                after
            }
            None => {
                text.push('{');
                after
            }
        };
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&'static str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
    }

    #[test]
    fn lines_stay_by_their_condition() {
        let values = values(&[("user", "7"), ("kind", "tag")]);
        for (line, expected) in [
            ("plain [if user] x", Some("plain [if user] x")),
            ("[if user] x {user}", Some("x {user}")),
            ("[if name] x", None),
            ("[unless user] x", None),
            ("[unless name] x", Some("x")),
            ("[if kind=tag] x", Some("x")),
            ("[if kind=person] x", None),
            ("[if user]x", Some("[if user]x")),
        ] {
            assert_eq!(kept(line, &values), expected, "{line}");
        }
    }

    #[test]
    fn arguments_are_put_in_once() {
        let values = values(&[("name", "{day} `task_delete` {"), ("day", "2026-11-23")]);
        assert_eq!(
            filled("{name}: {day}T00:00Z {other} {", &values),
            "{day} `task_delete` {: 2026-11-23T00:00Z {other} {"
        );
    }

    #[test]
    fn texts_have_no_placeholder_and_no_condition_of_unknown_arguments() {
        let mut found = 0;
        for prompt in PROMPTS {
            for text in prompt.texts {
                let conditions = text.lines().filter_map(|line| line.strip_prefix('[')?.split_once(']'));
                let named = conditions.map(|(condition, _)| {
                    let (word, name) = condition.split_once(' ').unwrap();
                    assert!(["if", "unless"].contains(&word), "{condition}");
                    name.split('=').next().unwrap()
                });
                let placeholders = text.split('{').skip(1).map(|rest| rest.split('}').next().unwrap());
                for name in named.chain(placeholders) {
                    assert!(prompt.argument(name).is_some(), "{} has no argument {name}", prompt.name);
                    found += 1;
                }
            }
        }
        assert!(found > 100, "{found}");
    }
}
