//! By what duplicates of people and companies are found: their names and telephone numbers in a form that spelling leaves alone.
//!
//! The keys are columns of the row, as the folded e-mail address and the tax number are: cheap to keep, and indexed.

use bureau_kit::prelude::*;

use crate::party::PARTIES;

/// Words of legal forms: they tell no companies apart.
const LEGAL_FORMS: &[&str] = &[
    "sp", "z", "zoo", "oo", "sa", "spzoo", "spolka", "sj", "sk", "ltd", "llc", "inc", "gmbh", "ag", "тов", "тзов",
    "фоп",
];

/// The words of a name, folded and in the order of the alphabet: `Kowalski, Łukasz` and `lukasz kowalski` are one.
pub(crate) fn of_name(name: &str) -> String {
    let folded = fold(name);
    let mut words: Vec<String> = Vec::new();
    let mut single = false;
    for word in folded.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let is_letter = word.chars().count() == 1;
        match words.last_mut().filter(|_| single && is_letter) {
            // Letters with dots between are one word: S.A. is SA.
            Some(before) => before.push_str(word),
            None => words.push(word.to_owned()),
        }
        single = is_letter;
    }
    words.sort_unstable();
    let telling: Vec<&str> = words.iter().map(String::as_str).filter(|word| !LEGAL_FORMS.contains(word)).collect();
    // A company that is called by nothing else keeps all its words.
    if telling.is_empty() { words.join(" ") } else { telling.join(" ") }
}

/// The last nine digits of a telephone number, with which prefix it may be written; blank for what is no number.
pub(crate) fn of_phone(phone: &str) -> String {
    let reversed = reversed(phone);
    if reversed.len() < 7 {
        String::new()
    } else {
        reversed.chars().take(9).collect::<Vec<_>>().into_iter().rev().collect()
    }
}

/// All digits of a telephone number from the last on, so that its end is found by an index.
pub(crate) fn reversed(phone: &str) -> String {
    phone.chars().filter(char::is_ascii_digit).rev().collect()
}

/// Rows worked on between two rests.
const STEP: i64 = 500;

/// Fills the keys of people and companies from before there were any.
///
/// They follow from the row, like its search text: no change that anybody made, so none in the journal.
pub(crate) async fn complete(ctx: &mut Ctx) -> Result<()> {
    loop {
        ctx.checkpoint().await?;
        let mut sql = Sql::new("SELECT id, display_name, primary_phone FROM parties WHERE tenant_id = ");
        sql.bind(ctx.tenant_id()).push(" AND name_key = '' ORDER BY id LIMIT ").bind(STEP);
        let rows = ctx.rows(&sql).await?;
        for row in &rows {
            let (id, name): (Uuid, String) = (row.get(0)?, row.get(1)?);
            let phone = row.get::<Option<String>>(2)?.unwrap_or_default();
            let key = of_name(&name);
            let mut update = Sql::new("UPDATE parties SET name_key = ");
            // A name without a letter or digit would come again and again.
            update.bind(if key.is_empty() { "-".to_owned() } else { key });
            update.push(", phone_key = ").bind(of_phone(&phone)).push(", phone_reversed = ").bind(reversed(&phone));
            update.push(" WHERE tenant_id = ").bind(ctx.tenant_id()).and_eq("id", id);
            ctx.write_secret(&update).await?;
        }
        if i64::try_from(rows.len()).unwrap_or(STEP) < STEP {
            return Ok(());
        }
        ctx.progress(0, None, &format!("keys of {}", PARTIES.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_however_they_are_written() {
        for (one, other) in [
            ("Łukasz Kowalski", "KOWALSKI, lukasz"),
            ("Meble Żółć sp. z o.o.", "Żółć Meble Sp.z o.o."),
            ("Ґанна Їжак", "їжак  ганна"),
            ("ACME S.A.", "Acme SA"),
            ("Alfa sp. z o.o.", "ALFA Sp.z oo"),
            ("J. Kowalski", "Kowalski J"),
        ] {
            assert_eq!(of_name(one), of_name(other), "{one} and {other}");
        }
        assert_ne!(of_name("Anna Nowak"), of_name("Anna Nowakowska"));
        assert_eq!(of_name("S.A."), "sa");
        assert_eq!(of_name("!!!"), "");
    }

    #[test]
    fn numbers_match_with_and_without_prefix() {
        for phone in ["+48 500 600 700", "500-600-700", "0048500600700", "(48) 500 600 700"] {
            assert_eq!(of_phone(phone), "500600700", "{phone}");
        }
        assert_eq!(of_phone("112"), "");
        assert_eq!(reversed("12 ab 34"), "4321");
    }
}
