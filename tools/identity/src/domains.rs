//! Domains of a tenant (Intum). A name is proven by a text in the domain name system that only its holder can put there.
//!
//! Decided: the proof is a TXT record with a word of this tenant's, at the name itself or at `_bureau.` before it. That a name
//! points to this server proves nothing, since another tenant may have made it do so.

use std::time::Duration;

use bureau_kit::prelude::*;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("domain_list", VIEW, &DOMAINS)
            .or_right(MANAGE)
            .title("List domains")
            .about("List the domains of your company, proven or not, and which one is primary.")
            .synonyms("host names dns domeny adresy домени"),
        family::show("domain_show", VIEW, &DOMAINS)
            .or_right(MANAGE)
            .title("Show a domain")
            .about("Show one domain, with the text that proves it: a TXT record of the name or of _bureau.NAME.")
            .synonyms("host name dns domena домен"),
        family::create("domain_create", MANAGE, &DOMAINS)
            .title("Add a domain")
            .about(
                "Add a domain of your company. It proves nothing yet: put the answer's verification into a TXT record of the \
                 name, or of _bureau.NAME, and call domain_verify.",
            )
            .synonyms("new host name dns dodaj domenę додати домен"),
        family::update("domain_update", MANAGE, &DOMAINS)
            .title("Change a domain")
            .about(
                "Change a domain's description, kind or activity. The name stays: add another one instead. One that is switched \
                 off is primary no more.",
            )
            .synonyms("edit deactivate zmień domenę змінити домен"),
        family::delete("domain_delete", MANAGE, &DOMAINS)
            .title("Delete a domain")
            .about("Delete a domain. Was it the primary one, none is primary until domain_primary_set names another.")
            .synonyms("remove usuń domenę видалити домен"),
        Tool::action("domain_verify", MANAGE, verify)
            .on(&DOMAINS)
            .open_world()
            .idempotent()
            .title("Verify a domain")
            .about(
                "Look into the domain name system whether a domain is yours, and remember it. Needs the TXT record that \
                 domain_show tells. A name that another company has proven first stays theirs.",
            )
            .synonyms("prove check dns txt zweryfikuj domenę potwierdź підтвердити домен"),
        Tool::action("domain_primary_set", MANAGE, set_primary)
            .on(&DOMAINS)
            .idempotent()
            .title("Make a domain the primary one")
            .about("Make a verified domain the primary one of your company, in place of the one before. Verify it first with domain_verify.")
            .synonyms("main default domain ustaw domenę główną основний домен"),
    ]
}

const VIEW: &str = "domains.view";
const MANAGE: &str = "domains.manage";
/// How long the domain name system may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A domain.
#[derive(Debug)]
pub struct Domain;
impl Kind for Domain {
    const TABLE: &'static Table = &DOMAINS;
}

pub(crate) static DOMAINS: Table = Table::new(
    "domains",
    "domain",
    "A domain of the company.",
    &[
        Column::text("domain", "Its name, such as shop.example.com.").max(253).required().fixed().sort().search(),
        Column::text("description", "What it is for.").max(2000),
        Column::text("kind", "What it serves, such as www or mail.").max(60).filter(),
        Column::flag("active", "Whether it is in use.").default("true").filter(),
        Column::flag("is_primary", "Whether it is the company's main one; at most one.").computed(),
        Column::text("verification", "The text that a TXT record of the name, or of _bureau.NAME, must have.")
            .required()
            .computed(),
        Column::instant("verified_at", "When it was proven; empty while it is not.").computed(),
    ],
)
.tenant_wide()
.rule(rule);

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        if draft.event == Event::Create {
            let name = checked_name("/domain", draft.values.text("domain").unwrap_or_default())?;
            let mut sql = ctx.select("1", &DOMAINS);
            sql.and_eq("domain", name.as_str());
            if ctx.exists(sql).await? {
                return Err(Error::conflict(format!("The domain {name} is there already. Find it with domain_list."))
                    .with("columns", "domain"));
            }
            // Anybody may read it in the domain name system: it is no secret, only unlike everyone else's.
            let word = bureau_kit::token::hash(ctx.new_id().to_string().as_str());
            let word: String = word.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
            draft.values.set("domain", name).set("verification", format!("bureau-verify={word}"));
        }
        if draft.values.get("active") == Some(&Val::Bool(false))
            && draft.before.is_some_and(|domain| domain.flag("is_primary"))
        {
            draft.values.set("is_primary", false);
        }
        Ok(())
    })
}

/// A name as the domain name system takes it, in lower case and without the dot at its end.
pub(crate) fn checked_name(path: &str, text: &str) -> Result<String> {
    let name = text.trim().trim_end_matches('.').to_lowercase();
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let fits = name.len() <= 253
        && name.contains('.')
        && name.split('.').all(is_label)
        // An address of numbers is no name.
        && !name.rsplit('.').next().unwrap_or_default().bytes().all(|letter| letter.is_ascii_digit());
    if fits {
        Ok(name)
    } else {
        Err(Error::invalid(
            path,
            "expected the name of a domain, such as shop.example.com; names with other letters in their xn-- form",
        ))
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct IdInput {
    /// UUID or number of the domain.
    id: Id<Domain>,
}

async fn verify(ctx: &mut Ctx, input: IdInput) -> Result<Shown<Domain>> {
    let key = input.id.key();
    let claimed = ctx.find_in(&DOMAINS, key).await?.ok_or_else(|| Error::not_found(DOMAINS.noun, key))?;
    let name = claimed.text("domain").to_owned();
    let resolver = ctx.bureau().installation.resolver().ok_or_else(|| {
        Error::provider_unavailable("This server asks no domain name system, so no domain can be verified by it.")
    })?;
    // Nobody waits for the writer meanwhile.
    let asking = tokio::runtime::Handle::current();
    let asked = name.clone();
    let answer = ctx
        .aside(move || {
            asking.block_on(async move {
                let both = async {
                    let mut texts = resolver.texts(&asked).await?;
                    texts.extend(resolver.texts(&format!("_bureau.{asked}")).await?);
                    Ok(texts)
                };
                tokio::time::timeout(PATIENCE, both).await.unwrap_or_else(|_| Err("it took too long".to_owned()))
            })
        })
        .await?;
    let texts = answer.map_err(|why| {
        Error::provider_unavailable(format!(
            "The domain name system did not answer for {name}: {why}. Try again later."
        ))
    })?;
    let domain = ctx.fetch(input.id).await?;
    if !texts.iter().any(|text| text.trim() == domain.text("verification")) {
        return Err(Error::impossible_state(format!(
            "Neither {name} nor _bureau.{name} has the text that proves it. Add a TXT record `{}` to one of them, wait until it \
             is known, and call domain_verify again.",
            domain.text("verification")
        ))
        .with("found", texts.len()));
    }
    if domain.get::<Option<Instant>>("verified_at")?.is_some() {
        return Ok(domain.into());
    }
    let sql = Sql::with("SELECT id FROM domains WHERE domain = $1 AND verified_at IS NOT NULL", [name.as_str().into()]);
    if !ctx.rows_of_all_tenants(&sql).await?.is_empty() {
        return Err(Error::conflict(format!(
            "{name} was proven by another company of this installation. Whoever runs it can settle whose it is."
        )));
    }
    let verified = ctx.update(&domain, Values::new().with("verified_at", ctx.now())).await.map_err(Error::lost_race)?;
    Ok(verified.into())
}

async fn set_primary(ctx: &mut Ctx, input: IdInput) -> Result<Shown<Domain>> {
    let domain = ctx.fetch(input.id).await?;
    make_primary(ctx, domain).await.map(Into::into)
}

/// Makes a domain the primary one; what is not proven, or switched off, cannot be.
async fn make_primary(ctx: &mut Ctx, domain: Record) -> Result<Record> {
    let name = domain.text("domain");
    if domain.get::<Option<Instant>>("verified_at")?.is_none() {
        return Err(Error::impossible_state(format!("{name} is not verified. Call domain_verify first.")));
    }
    if !domain.flag("active") {
        return Err(Error::impossible_state(format!("{name} is switched off. Switch it on with domain_update first.")));
    }
    if domain.flag("is_primary") {
        return Ok(domain);
    }
    without_primary(ctx).await?;
    ctx.update(&domain, Values::new().with("is_primary", true)).await.map_err(Error::lost_race)
}

/// The same for the domain with this name.
pub(crate) async fn make_primary_by_name(ctx: &mut Ctx, path: &str, name: &str) -> Result<Record> {
    let name = checked_name(path, name)?;
    let mut sql = ctx.from(&DOMAINS);
    sql.and_eq("domain", name.as_str());
    let found = ctx.first(&DOMAINS, sql).await?;
    let domain = found.ok_or_else(|| {
        Error::invalid(
            path,
            format!("{name} is no domain of yours; add it with domain_create and prove it with domain_verify"),
        )
    })?;
    make_primary(ctx, domain).await
}

/// Takes the mark from the primary domain.
pub(crate) async fn without_primary(ctx: &mut Ctx) -> Result<()> {
    if let Some(primary) = primary(ctx).await? {
        ctx.update(&primary, Values::new().with("is_primary", false)).await?;
    }
    Ok(())
}

/// The primary domain.
pub(crate) async fn primary(ctx: &mut Ctx) -> Result<Option<Record>> {
    let mut sql = ctx.from(&DOMAINS);
    sql.push(" AND is_primary");
    ctx.first(&DOMAINS, sql).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_domain_name_system() {
        assert_eq!(checked_name("/domain", " Shop.Example.COM. ").unwrap(), "shop.example.com");
        assert_eq!(checked_name("/domain", "xn--kd-fka.pl").unwrap(), "xn--kd-fka.pl");
        for bad in [
            "",
            "localhost",
            "a..b",
            "-a.pl",
            "a-.pl",
            "192.168.0.1",
            "łódź.pl",
            "a b.pl",
            "http://a.pl",
            &"a".repeat(300),
        ] {
            assert!(checked_name("/domain", bad).is_err(), "{bad}");
        }
    }
}
