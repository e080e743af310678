//! Dictionaries: named lists of values that people choose from.
//!
//! A dictionary never grows by accident: an unknown value is refused where one of a dictionary is asked for
//! (`built_in_dictionary::known_value`), and only the tools that say so add an entry.

use bureau_kit::prelude::*;

use crate::Dictionary;

const VIEW: &str = "dictionaries.view";
const MANAGE: &str = "dictionaries.manage";

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read_body("dictionary_list", VIEW, list)
            .title("List dictionaries")
            .about(
                "List the dictionaries, lists of values to choose from, by key. Those out of use are left out unless \
                 include_inactive. dictionary_entry_list shows the values of one.",
            )
            .synonyms("vocabularies value lists słowniki lista słowników словники список"),
        family::show("dictionary_show", VIEW, &DICTIONARIES)
            .title("Show a dictionary")
            .about("Show one dictionary by id or number; dictionary_entry_list shows its values.")
            .synonyms("vocabulary value list pokaż słownik словник показати"),
        family::create("dictionary_create", MANAGE, &DICTIONARIES)
            .title("Create a dictionary")
            .about("Create a list of values to choose from. Its key is unique. Add values with dictionary_entry_create.")
            .synonyms("new vocabulary value list utwórz słownik nowy створити словник"),
        family::update("dictionary_update", MANAGE, &DICTIONARIES)
            .title("Change a dictionary")
            .about("Rename a dictionary, or take it out of use and back with is_active. The key of a built-in one stays.")
            .synonyms("rename vocabulary zmień słownik nazwę змінити словник"),
        Tool::delete("dictionary_delete", MANAGE, delete)
            .on(&DICTIONARIES)
            .title("Take a dictionary out of use")
            .about(
                "Take a dictionary out of use: its values stay, and is_active: true in dictionary_update brings it back. Built-in \
                 ones are refused.",
            )
            .synonyms("remove vocabulary usuń słownik wyłącz видалити словник"),
    ]
}

pub(crate) static DICTIONARIES: Table = Table::new(
    "dictionaries",
    "dictionary",
    "A list of values to choose from.",
    &[
        Column::text("key", "Short name, unique: small letters, digits, hyphens and underscores.")
            .max(100)
            .required()
            .search(),
        Column::text("name", "Name.").max(200).required().search(),
        Column::text("description", "What its values mean.").max(2000),
        Column::flag("is_system", "Whether it always stays. The built-in ones do.").fixed(),
        Column::flag("is_active", "Whether it is in use.").default("true"),
        Column::choice(
            "manager_visibility",
            &["default", "hidden"],
            "Whether lists of dictionaries for managers show it.",
        )
        .default("\"default\""),
    ],
)
.tenant_wide()
.rule(rule);

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let system = draft.before.is_some_and(|before| before.flag("is_system"));
        if draft.event == Event::Update && draft.values.is_empty() {
            return Err(Error::validation(
                "Give what is to change: key, name, description, is_active or manager_visibility.",
            ));
        }
        if system && (draft.event == Event::Delete || draft.values.get("is_active") == Some(&Val::Bool(false))) {
            let key = draft.before.map(|before| before.text("key")).unwrap_or_default();
            return Err(Error::validation(format!(
                "The dictionary {key} is built in and stays in use. Change its values with dictionary_entry_update and \
                 dictionary_entry_delete."
            )));
        }
        let Some(key) = draft.values.text("key").map(str::to_lowercase) else { return Ok(()) };
        let known = draft.before.is_some_and(|before| before.text("key") == key);
        if !known {
            if system {
                return Err(Error::invalid("/key", "is built in and stays; change the name instead"));
            }
            let fits = key.starts_with(|letter: char| letter.is_ascii_alphanumeric())
                && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
            if !fits {
                return Err(Error::invalid(
                    "/key",
                    "must begin with a letter or digit and have only a to z, 0 to 9, - and _, such as delivery_type",
                ));
            }
            if find(ctx, &key).await?.is_some() {
                return Err(Error::conflict(format!(
                    "There is a dictionary {key} already, perhaps out of use. dictionary_list with include_inactive shows it."
                ))
                .with("key", key));
            }
        }
        draft.values.set("key", key);
        Ok(())
    })
}

/// The dictionary with a key, in use or not.
pub(crate) async fn find(ctx: &mut Ctx, key: &str) -> Result<Option<Record>> {
    let mut sql = ctx.from(&DICTIONARIES);
    sql.and_eq("key", key);
    Ok(ctx.records(&DICTIONARIES, &sql).await?.into_iter().next())
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// Words to find in key and name.
    #[serde(alias = "search")]
    #[schemars(length(max = 1024))]
    q: Option<String>,
    /// Also those out of use.
    #[serde(default, alias = "includeInactive")]
    include_inactive: bool,
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Rows on a page, 50 unless given.
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Body<Page<Shown<Dictionary>>>> {
    let (page, page_size) = page::Wanted { page: input.page, page_size: input.page_size }.checked()?;
    let filter = |sql: &mut Sql| {
        if !input.include_inactive {
            sql.push(" AND is_active");
        }
        if let Some(words) = &input.q {
            sql.and_contains(words);
        }
    };
    let mut counted = ctx.select("1", &DICTIONARIES);
    filter(&mut counted);
    let mut rows = ctx.from(&DICTIONARIES);
    filter(&mut rows);
    rows.push(" ORDER BY key");
    page::fetch_body(ctx, page::Query { rows, counted, page, page_size }).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeleteInput {
    /// Dictionary to take out of use.
    id: Id<Dictionary>,
}

/// Documented: the deletion is soft.
async fn delete(ctx: &mut Ctx, input: DeleteInput) -> Result<family::Deleted> {
    let dictionary = ctx.fetch(input.id).await?;
    family::save(ctx, &dictionary, Values::new().with("is_active", false)).await?;
    Ok(family::Deleted::of(&dictionary))
}
