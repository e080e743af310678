//! What a column can be: one table of names, and how a cell of each becomes an argument.
//!
//! A new argument of `person_create` or `company_create` needs one line here.

use bureau_kit::prelude::*;

/// How a cell becomes an argument, and a record's value a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As it stands.
    Text,
    /// Yes or no.
    Flag,
    /// Several, with `|` between, or a JSON array.
    List,
    /// JSON, or plain text where that is allowed too.
    Json,
    /// The name of a company.
    Company,
    /// Names of tags, with `|` between.
    Tags,
}

#[derive(Debug)]
pub(super) struct Field {
    /// Argument of the tools that store it, and heading of an exported column.
    pub name: &'static str,
    /// Column of the table that holds it.
    pub column: &'static str,
    pub form: Form,
    /// Whether only people have it.
    pub of_people: bool,
    /// Whether only companies have it.
    pub of_companies: bool,
    /// Further headings by which it is known, folded: English, Polish, Ukrainian.
    pub known_as: &'static [&'static str],
}

const fn field(
    name: &'static str,
    column: &'static str,
    form: Form,
    of_people: bool,
    known_as: &'static [&'static str],
) -> Field {
    Field { name, column, form, of_people, of_companies: false, known_as }
}

pub(super) static FIELDS: &[Field] = &[
    field(
        "name",
        "display_name",
        Form::Text,
        false,
        &[
            "full name",
            "display name",
            "company name",
            "nazwa",
            "pelna nazwa",
            "imie i nazwisko",
            "nazwa firmy",
            "назва",
            "повне імʼя",
            "піб",
            "назва компанії",
        ],
    ),
    field("first_name", "first_name", Form::Text, true, &["firstname", "given name", "forename", "imie", "імʼя"]),
    field("middle_name", "middle_name", Form::Text, true, &["second name", "drugie imie", "по батькові"]),
    field("last_name", "last_name", Form::Text, true, &["lastname", "surname", "family name", "nazwisko", "прізвище"]),
    field("job_title", "job_title", Form::Text, true, &["position", "title", "role", "stanowisko", "посада"]),
    field(
        "organization",
        "company_id",
        Form::Company,
        true,
        &["company", "organisation", "employer", "firma", "organizacja", "компанія", "фірма", "організація"],
    ),
    field(
        "primary_email",
        "primary_email",
        Form::Text,
        false,
        &[
            "email",
            "mail",
            "email address",
            "adres email",
            "poczta",
            "пошта",
            "електронна пошта",
            "емейл",
            "адреса пошти",
        ],
    ),
    field(
        "primary_phone",
        "primary_phone",
        Form::Text,
        false,
        &[
            "phone",
            "telephone",
            "phone number",
            "mobile",
            "tel",
            "telefon",
            "numer telefonu",
            "komorka",
            "телефон",
            "номер телефону",
            "мобільний",
        ],
    ),
    field("emails", "emails", Form::List, false, &["other emails", "further emails", "inne emaile", "інші пошти"]),
    field(
        "contact_numbers",
        "phones",
        Form::List,
        false,
        &["phones", "other phones", "inne telefony", "інші телефони"],
    ),
    field(
        "unique_id",
        "unique_id",
        Form::Text,
        true,
        &["external id", "id in another system", "identyfikator", "identyfikator zewnetrzny", "зовнішній ід"],
    ),
    field(
        "nip",
        "nip",
        Form::Text,
        false,
        &["tax number", "vat number", "tax id", "numer nip", "податковий номер", "нiп"],
    ),
    field("pesel", "pesel", Form::Text, true, &["numer pesel"]),
    Field { of_companies: true, ..field("regon", "regon", Form::Text, false, &["numer regon"]) },
    Field { of_companies: true, ..field("krs", "krs", Form::Text, false, &["numer krs"]) },
    Field {
        of_companies: true,
        ..field(
            "bank_account",
            "bank_account",
            Form::Text,
            false,
            &["iban", "account number", "numer konta", "konto bankowe", "рахунок", "номер рахунку"],
        )
    },
    Field {
        of_companies: true,
        ..field("website_url", "website_url", Form::Text, false, &["website", "www", "strona", "strona www", "сайт"])
    },
    Field { of_companies: true, ..field("industry", "industry", Form::Text, false, &["branza", "галузь"]) },
    field("department", "department", Form::Text, true, &["dzial", "відділ"]),
    field("is_client", "is_client", Form::Flag, false, &["client", "customer", "klient", "клієнт"]),
    field("lifecycle_stage", "lifecycle_stage", Form::Text, false, &["stage", "etap", "етап"]),
    field("status", "status", Form::Text, false, &["стан", "статус"]),
    field("source", "source", Form::Text, false, &["lead source", "zrodlo", "джерело"]),
    field(
        "description",
        "description",
        Form::Text,
        false,
        &["notes", "note", "comment", "opis", "uwagi", "notatki", "опис", "примітки", "нотатки"],
    ),
    field("address", "address", Form::Json, false, &["adres", "адреса"]),
    field("metadata", "metadata", Form::Json, false, &[]),
    field("tags", "tags", Form::Tags, false, &["tag", "labels", "tagi", "etykiety", "теги", "мітки"]),
    field("active", "active", Form::Flag, false, &["is active", "aktywny", "aktywna", "активний"]),
];

/// The fields of people or of companies.
pub(super) fn of(is_person: bool) -> impl Iterator<Item = &'static Field> {
    FIELDS.iter().filter(move |field| if is_person { !field.of_companies } else { !field.of_people })
}

/// A heading in the form in which headings are compared: folded, with single spaces for all that joins words.
fn plain(heading: &str) -> String {
    let folded = fold(heading).replace(['\'', '’', '`'], "ʼ");
    let words: Vec<&str> = folded
        .split(|letter: char| !(letter.is_alphanumeric() || letter == 'ʼ'))
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ").replace("e mail", "email")
}

/// The field that a heading names by itself.
pub(super) fn guess(heading: &str, is_person: bool) -> Option<&'static Field> {
    let wanted = plain(heading);
    of(is_person).find(|field| plain(field.name) == wanted || field.known_as.iter().any(|name| plain(name) == wanted))
}

/// What a cell means as an argument; an error in words.
pub(super) fn argument(field: &Field, cell: &str) -> Result<Value, String> {
    Ok(match field.form {
        Form::Flag => match fold(cell.trim()).as_str() {
            "1" | "true" | "yes" | "y" | "tak" | "t" | "так" => json!(true),
            "0" | "false" | "no" | "n" | "nie" | "ні" => json!(false),
            _ => return Err(format!("expected yes or no, got {cell}")),
        },
        Form::List if cell.trim_start().starts_with('[') => {
            serde_json::from_str(cell).map_err(|error| format!("is no JSON array: {error}"))?
        }
        Form::List => Value::Array(parts(cell).map(|part| json!(part)).collect()),
        Form::Json if cell.trim_start().starts_with(['{', '[']) => {
            serde_json::from_str(cell).map_err(|error| format!("is no JSON: {error}"))?
        }
        Form::Text | Form::Json | Form::Company | Form::Tags => json!(cell),
    })
}

/// The parts of a cell that holds several.
pub(super) fn parts(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('|').map(str::trim).filter(|part| !part.is_empty())
}

/// A stored value as a cell.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(list) if list.is_empty() => String::new(),
        Value::Object(members) if members.is_empty() => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_known_in_three_languages() {
        for (heading, name) in [
            ("First name", "first_name"),
            ("E-mail", "primary_email"),
            ("Phone", "primary_phone"),
            ("Company", "organization"),
            ("Imię", "first_name"),
            ("NAZWISKO", "last_name"),
            ("Telefon", "primary_phone"),
            ("firma", "organization"),
            ("Ім'я", "first_name"),
            ("Прізвище", "last_name"),
            ("Електронна пошта", "primary_email"),
            ("Телефон", "primary_phone"),
            ("first_name", "first_name"),
            ("Imię i nazwisko", "name"),
        ] {
            assert_eq!(guess(heading, true).map(|field| field.name), Some(name), "{heading}");
        }
        assert!(guess("Shoe size", true).is_none());
        assert!(guess("Imię", false).is_none());
    }
}
