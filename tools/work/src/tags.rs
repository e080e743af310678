//! Tags as Intum's tasks take them: names in one text, separated by commas.

use bureau_crm::{Tag, TagLink};
use bureau_kit::prelude::*;

/// Tags given at once, at most.
const MOST: usize = 50;
/// Characters of a name, at most; as the column says.
const LONGEST: usize = 120;

/// Attaches tags by name; those that are missing are made.
pub(crate) async fn attach(ctx: &mut Ctx, task: &Record, names: &str) -> Result<()> {
    for name in split(names)? {
        let tag = find_or_create(ctx, name).await?;
        let noun = task.table.noun;
        let mut sql = ctx.select("1", TagLink::TABLE);
        sql.and_eq("tag_id", tag).and_eq("subject_type", noun).and_eq("subject_id", task.id);
        if !ctx.exists(sql).await? {
            let link = Values::new().with("tag_id", tag).with("subject_type", noun).with("subject_id", task.id);
            ctx.insert(TagLink::TABLE, link).await?;
        }
    }
    Ok(())
}

/// The names, each once, in the order given.
fn split(names: &str) -> Result<Vec<&str>> {
    let mut split: Vec<&str> = Vec::new();
    for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        if name.chars().count() > LONGEST {
            return Err(Error::invalid("/tags", format!("a name of a tag has at most {LONGEST} characters")));
        }
        if !split.contains(&name) {
            split.push(name);
        }
    }
    if split.len() > MOST {
        return Err(Error::invalid("/tags", format!("at most {MOST} tags at once")));
    }
    Ok(split)
}

async fn find_or_create(ctx: &mut Ctx, name: &str) -> Result<Uuid> {
    let mut sql = ctx.select("id", Tag::TABLE);
    sql.and_eq("name", name);
    if let Some(row) = ctx.rows(&sql).await?.first() {
        return row.get(0);
    }
    // The rule of tags gives the slug. When another call made the tag in between, the next attempt finds it.
    let made = family::save_new(ctx, Tag::TABLE, Values::new().with("name", name)).await;
    Ok(made.map_err(Error::lost_race)?.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_once_each() {
        assert_eq!(split(" pilne, montaż ,,pilne,").unwrap(), ["pilne", "montaż"]);
        assert_eq!(split("").unwrap(), Vec::<&str>::new());
        let many: Vec<String> = (0..51).map(|n| n.to_string()).collect();
        assert_eq!(split(&many.join(",")).unwrap_err().message(), "/tags: at most 50 tags at once");
    }
}
