//! The settings there are: each with what it may hold, what holds when nobody says, and what it is for.
//!
//! Intum keeps any key it is given; here a key that nothing reads would only look as if it worked, so unknown ones are
//! refused. Inferred: the keys beside `mail.inbox.per_page` and the additional fields, which are all that Intum documents.

use bureau_kit::args::nearest;
use bureau_kit::prelude::*;

/// A setting that there is.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) key: &'static str,
    pub(crate) kind: Kinds,
    /// JSON text of what holds when nobody says.
    pub(crate) default: &'static str,
    /// Whether each user may have their own.
    pub(crate) personal: bool,
    pub(crate) about: &'static str,
}

/// What a setting may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kinds {
    /// True or false.
    Flag,
    /// A whole number within bounds.
    Count { min: i64, max: i64 },
    /// Text of at most so many characters.
    Text { max: usize },
    /// One of these.
    Choice(&'static [&'static str]),
    /// A list of different texts.
    Texts { most: usize, max: usize },
    /// A list of different ones of these.
    Choices(&'static [&'static str]),
}

const fn known(key: &'static str, kind: Kinds, default: &'static str, personal: bool, about: &'static str) -> Known {
    Known { key, kind, default, personal, about }
}

const PER_PAGE: Kinds = Kinds::Count { min: 5, max: 100 };
const DAYS: &[&str] = &["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// Every setting, by key.
pub(crate) const KNOWN: &[Known] = &[
    known(
        "account.currency",
        Kinds::Choice(&["PLN", "EUR", "USD", "GBP", "CZK", "UAH"]),
        "\"PLN\"",
        false,
        "Currency of amounts that name none.",
    ),
    known(
        "account.date_format",
        Kinds::Choice(&["yyyy-mm-dd", "dd.mm.yyyy", "dd/mm/yyyy", "mm/dd/yyyy"]),
        "\"yyyy-mm-dd\"",
        true,
        "How interfaces write dates.",
    ),
    known(
        "account.seller_address",
        Kinds::Text { max: 500 },
        "\"\"",
        false,
        "Address of the company on invoices and other documents, in lines.",
    ),
    known(
        "account.seller_name",
        Kinds::Text { max: 255 },
        "\"\"",
        false,
        "Name of the company on invoices and other documents; that of the account when blank.",
    ),
    known(
        "account.tax_number",
        Kinds::Text { max: 30 },
        "\"\"",
        false,
        "Tax number (NIP) of the company on invoices and other documents.",
    ),
    known(
        "account.week_start",
        Kinds::Choice(&["monday", "sunday"]),
        "\"monday\"",
        true,
        "First day of the week in calendars.",
    ),
    known(
        "account.working_days",
        Kinds::Choices(DAYS),
        "[\"monday\", \"tuesday\", \"wednesday\", \"thursday\", \"friday\"]",
        false,
        "Days on which the company works.",
    ),
    known(
        "crm.address_format",
        Kinds::Choice(&["line_first", "street_first"]),
        "\"line_first\"",
        false,
        "How interfaces ask for addresses of customers: in free lines, or with street and number apart.",
    ),
    known("crm.clients.per_page", PER_PAGE, "50", true, "Customers on a page."),
    known("crm.deals.view", Kinds::Choice(&["kanban", "table", "list"]), "\"kanban\"", true, "How deals are shown."),
    known(
        "mail.blocked_senders",
        Kinds::Texts { most: 1000, max: 254 },
        "[]",
        true,
        "Addresses whose mails interfaces hide.",
    ),
    known(
        "mail.compose.format",
        Kinds::Choice(&["html", "text"]),
        "\"html\"",
        true,
        "Form in which new mails are written.",
    ),
    known("mail.inbox.per_page", PER_PAGE, "50", true, "Mails on a page of the inbox."),
    known("mail.signature", Kinds::Text { max: 10_000 }, "\"\"", true, "Text at the end of new mails."),
    known("notifications.email", Kinds::Flag, "true", true, "Whether notifications come by mail too."),
    known(
        "notifications.muted",
        Kinds::Texts { most: 100, max: 100 },
        "[]",
        true,
        "Kinds of notifications that are not wanted.",
    ),
    known(
        "organize.tasks.hidden_columns",
        Kinds::Texts { most: 50, max: 60 },
        "[]",
        true,
        "Columns of task lists that are not shown.",
    ),
    known("organize.tasks.per_page", PER_PAGE, "50", true, "Tasks on a page."),
    known("organize.tasks.view", Kinds::Choice(&["kanban", "table", "list"]), "\"list\"", true, "How tasks are shown."),
    known("ui.favorites", Kinds::Texts { most: 50, max: 48 }, "[]", true, "Tools that a person wants at hand."),
    known("ui.theme", Kinds::Choice(&["system", "light", "dark"]), "\"system\"", true, "Colours of the interface."),
];

/// The setting with this key; an unknown one is told the nearest.
pub(crate) fn find(key: &str) -> Result<&'static Known> {
    if let Some(known) = KNOWN.iter().find(|known| known.key == key) {
        return Ok(known);
    }
    let hint = match nearest(key, KNOWN.iter().map(|known| known.key)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "setting_list has all of them".to_owned(),
    };
    Err(Error::invalid("/key", format!("there is no setting `{key}`; {hint}")))
}

impl Known {
    /// What holds when nobody says.
    pub(crate) fn default(&self) -> Result<Value> {
        serde_json::from_str(self.default).map_err(Error::internal)
    }
}

impl Kinds {
    /// The name of the kind, for answers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Flag => "boolean",
            Self::Count { .. } => "integer",
            Self::Text { .. } => "string",
            Self::Choice(_) => "choice",
            Self::Texts { .. } | Self::Choices(_) => "list",
        }
    }

    /// Whether `add` and `remove` mean something.
    pub(crate) fn is_list(self) -> bool {
        matches!(self, Self::Texts { .. } | Self::Choices(_))
    }

    /// What is accepted, in words.
    pub(crate) fn expected(self) -> String {
        match self {
            Self::Flag => "true or false".into(),
            Self::Count { min, max } => format!("a whole number from {min} to {max}"),
            Self::Text { max } => format!("text of at most {max} characters"),
            Self::Choice(choices) => format!("one of {}", choices.join(", ")),
            Self::Texts { most, max } => {
                format!("a list of at most {most} different texts of 1 to {max} characters")
            }
            Self::Choices(choices) => format!("a list of different ones of {}", choices.join(", ")),
        }
    }

    /// Whether a value is one of this kind.
    pub(crate) fn admits(self, value: &Value) -> bool {
        let is_set = |texts: &[Value], fits: &dyn Fn(&str) -> bool| {
            texts.iter().all(|text| text.as_str().is_some_and(fits))
                && texts
                    .iter()
                    .enumerate()
                    .all(|(index, text)| !texts.iter().take(index).any(|earlier| earlier == text))
        };
        match (self, value) {
            (Self::Flag, Value::Bool(_)) => true,
            (Self::Count { min, max }, Value::Number(number)) => {
                number.as_i64().is_some_and(|number| (min..=max).contains(&number))
            }
            (Self::Text { max }, Value::String(text)) => text.chars().count() <= max,
            (Self::Choice(choices), Value::String(text)) => choices.contains(&text.as_str()),
            (Self::Texts { most, max }, Value::Array(texts)) => {
                texts.len() <= most && is_set(texts, &|text| (1..=max).contains(&text.chars().count()))
            }
            (Self::Choices(choices), Value::Array(texts)) => is_set(texts, &|text| choices.contains(&text)),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_order_and_every_default_fits() {
        assert!(KNOWN.is_sorted_by(|one, other| one.key < other.key));
        for known in KNOWN {
            assert!(known.kind.admits(&known.default().unwrap()), "{}", known.key);
        }
    }

    #[test]
    fn an_unknown_key_is_told_the_nearest() {
        let message = |key| find(key).unwrap_err().message().to_owned();
        assert_eq!(
            message("mail.inbox.perpage"),
            "/key: there is no setting `mail.inbox.perpage`; did you mean `mail.inbox.per_page`?"
        );
        assert_eq!(message("x"), "/key: there is no setting `x`; setting_list has all of them");
    }

    #[test]
    fn values_are_of_their_kind() {
        for (kind, value, fits) in [
            (PER_PAGE, json!(5), true),
            (PER_PAGE, json!(4), false),
            (PER_PAGE, json!(101), false),
            (PER_PAGE, json!(5.5), false),
            (PER_PAGE, json!("5"), false),
            (Kinds::Flag, json!(true), true),
            (Kinds::Flag, json!(1), false),
            (Kinds::Text { max: 2 }, json!("żó"), true),
            (Kinds::Text { max: 2 }, json!("żół"), false),
            (Kinds::Choices(DAYS), json!(["monday", "sunday"]), true),
            (Kinds::Choices(DAYS), json!(["monday", "monday"]), false),
            (Kinds::Choices(DAYS), json!(["someday"]), false),
            (Kinds::Texts { most: 1, max: 3 }, json!(["abc"]), true),
            (Kinds::Texts { most: 1, max: 3 }, json!(["a", "b"]), false),
            (Kinds::Texts { most: 1, max: 3 }, json!([""]), false),
            (Kinds::Texts { most: 1, max: 3 }, json!("abc"), false),
        ] {
            assert_eq!(kind.admits(&value), fits, "{value} as {kind:?}");
        }
    }
}
