//! Records of any kind, as tags name them.

use bureau_kit::prelude::*;

use crate::party::PARTIES;

/// A record that something can hang on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject {
    /// Its kind, as stored.
    pub(crate) noun: &'static str,
    /// Its key.
    pub(crate) id: Uuid,
}

/// Looks up the record that a kind and an id name. The kind is a noun of Bureau (task, deal, party), a narrower word
/// for a party (person, company, …), or a class name as Intum writes it (`Organize::Task`).
pub(crate) async fn find(ctx: &mut Ctx, argument: &str, kind: &str, key: Key) -> Result<Subject> {
    let word = noun_of(kind);
    let bureau = ctx.bureau().clone();
    let narrowed = match word.as_str() {
        "person" | "people" | "contact" => Some("person"),
        "company" | "organization" => Some("company"),
        _ => None,
    };
    let table = if narrowed.is_some() || matches!(word.as_str(), "client" | "customer") {
        Some(&PARTIES)
    } else {
        // Rows without a number are parts of other records.
        bureau.registry.table_of(&word).filter(|table| table.numbered)
    };
    let Some(table) = table else {
        return Err(Error::invalid(
            format!("/{argument}"),
            format!("there is no kind of record called {kind}; write person, company, deal, task or another noun"),
        ));
    };
    let missing = || match narrowed {
        Some(kind) => Error::not_found(kind, key),
        None if std::ptr::eq(table, &PARTIES) => Error::missing(format!(
            "There is no person or company {key}. Use person_list or company_list to find the right id."
        )),
        None => Error::not_found(table.noun, key),
    };
    let id = ctx.resolve(table, key).await?.ok_or_else(missing)?;
    if let Some(kind) = narrowed {
        let mut sql = ctx.select("1", &PARTIES);
        sql.and_eq("id", id).and_eq("kind", kind);
        if !ctx.exists(sql).await? {
            return Err(missing());
        }
    }
    Ok(Subject { noun: table.noun, id })
}

/// `Organize::Task` and `task` as `task`.
pub(crate) fn noun_of(kind: &str) -> String {
    let class = kind.trim().rsplit("::").next().unwrap_or_default();
    let mut noun = String::with_capacity(class.len());
    for letter in class.chars() {
        if letter.is_ascii_uppercase() && !noun.is_empty() {
            noun.push('_');
        }
        noun.push(letter.to_ascii_lowercase());
    }
    noun
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_names_become_nouns() {
        for (kind, noun) in [
            ("Organize::Task", "task"),
            ("Crm::Client", "client"),
            ("task", "task"),
            ("PipelineStage", "pipeline_stage"),
        ] {
            assert_eq!(noun_of(kind), noun);
        }
    }
}
