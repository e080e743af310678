//! The caller's own account: looking at it, changing address and password, and the language.

use bureau_kit::prelude::*;

use crate::user_rows::UserRow;
use crate::users::{USERS, with_email};
use crate::{passwords, user_end};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("profile_show", "", show)
            .title("Show my account")
            .about(
                "Show the user behind this call with roles, teams and language. Needs a user: a key that stands for itself has \
                 none. Change it with profile_update and locale_set.",
            )
            .synonyms("me my account who am i mój profil konto kim jestem мій профіль обліковий запис хто я"),
        Tool::update("profile_update", "", update)
            .on(&USERS)
            .irreversible("sessions that ended with the old password stay ended; change it again with profile_update")
            .title("Change my address or password")
            .about(
                "Change your own e-mail address or password; needs the present password. A new password ends your other \
                 sessions. Everything else of a user is user_update.",
            )
            .synonyms("change my password email zmień moje hasło adres змінити мій пароль пошту"),
        Tool::action("locale_set", "", set_locale)
            .public()
            .idempotent()
            .on(&USERS)
            .title("Choose the language")
            .about(
                "Choose the language of texts for people: pl, en, uk, fr, cs, sk, de or es. With a token it is kept for your \
                 user; without one the checked code is answered, for the client to keep.",
            )
            .synonyms("language translation interface język ustaw tłumaczenie мова переклад інтерфейс"),
        Tool::action("locale_redirect_set", "", set_locale_and_go)
            .public()
            .idempotent()
            .on(&USERS)
            .title("Choose the language and go on")
            .about(
                "Choose the language as locale_set does, and get the path to go on to: for links that switch the language.",
            )
            .synonyms("language link redirect język przekieruj мова перехід"),
    ]
}

/// Languages that texts for people may be in (Intum's, Polish first).
pub(crate) const LOCALES: &[&str] = &["pl", "en", "uk", "fr", "cs", "sk", "de", "es"];

/// The caller's own user, also for a token that is limited to another organization.
async fn own(ctx: &mut Ctx) -> Result<Record> {
    let id = ctx.user_id()?;
    ctx.fetch_in_tenant(&USERS, id).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ShowInput {}

async fn show(ctx: &mut Ctx, _: ShowInput) -> Result<UserRow> {
    let user = own(ctx).await?;
    UserRow::of(ctx, &user).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UpdateInput {
    /// New e-mail address. Give this, password, or both.
    email: Option<Email>,
    /// New password: at least 6 characters, a digit, a capital letter and a special character.
    #[schemars(length(max = 256))]
    password: Option<String>,
    /// The new password again, checked when given.
    password_confirmation: Option<String>,
    /// Your present password.
    #[schemars(length(max = 256))]
    current_password: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Updated {
    /// Always true.
    ok: bool,
    /// The address as it is now.
    email: String,
    /// How many other sessions of yours ended.
    revoked: usize,
}

/// Inferred: both changes need the present password, since a token that was left lying about must not become an account.
async fn update(ctx: &mut Ctx, input: UpdateInput) -> Result<Updated> {
    if input.email.is_none() && input.password.is_none() {
        return Err(Error::validation("Give email, password, or both: there is nothing to change."));
    }
    match (&input.password, &input.password_confirmation) {
        (None, Some(_)) => return Err(Error::invalid("/password", "is required with password_confirmation")),
        (Some(one), Some(two)) if one != two => {
            return Err(Error::invalid("/password_confirmation", "is not the same as password"));
        }
        (Some(password), _) => passwords::check_new("/password", password)?,
        (None, None) => {}
    }
    let mut sql = ctx.from_tenant(&USERS);
    sql.and_eq("id", ctx.user_id()?);
    let user = ctx.first(&USERS, sql).await?.ok_or_else(|| Error::unauthenticated("Your user is gone."))?;
    passwords::check_current(ctx, &user, input.current_password).await?;
    let hash = match input.password {
        Some(password) => Some(passwords::hashed(ctx, password).await?),
        None => None,
    };
    // Comparing took its time: what counts is what is there now.
    let compared = user.text("credential_id").to_owned();
    let user = own(ctx).await?;
    if user.text("credential_id") != compared {
        return Err(Error::retryable("the password changed while it was compared"));
    }
    let mut values = Values::new();
    if let Some(email) = &input.email {
        if with_email(ctx, email).await?.is_some_and(|taken| taken != user.id) {
            return Err(Error::conflict(format!("Another user has the e-mail {email} already. Use another address."))
                .with("columns", "email"));
        }
        values.set("email", email.as_str()).set("email_folded", email.folded());
    }
    let mut revoked = 0;
    if let Some(hash) = hash {
        passwords::store(ctx, hash, &mut values).await?;
        revoked = user_end::end_other_sessions(ctx, user.id).await?;
    }
    // Customers with the new address are not linked: nobody has shown that it is theirs.
    let user = ctx.update(&user, values).await?;
    Ok(Updated { ok: true, email: user.text("email").to_owned(), revoked })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LocaleInput {
    /// Code of the language: pl, en, uk, fr, cs, sk, de or es.
    locale: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Locale {
    /// Always true.
    ok: bool,
    /// Code of the language.
    locale: &'static str,
    /// Whether it is kept for a user here; if not, the client keeps it.
    saved: bool,
}

/// The language that a code names: `pl-PL` and `PL` are `pl`.
pub(crate) fn locale_of(path: &str, text: &str) -> Result<&'static str> {
    let code = text.trim().to_ascii_lowercase();
    let code = code.split(['-', '_']).next().unwrap_or_default();
    LOCALES
        .iter()
        .find(|known| **known == code)
        .copied()
        .ok_or_else(|| Error::invalid(path, format!("expected one of {}, got `{text}`", LOCALES.join(", "))))
}

async fn set_locale(ctx: &mut Ctx, input: LocaleInput) -> Result<Locale> {
    let locale = locale_of("/locale", &input.locale)?;
    let saved = ctx.principal().user_id.is_some();
    if saved {
        let user = own(ctx).await?;
        ctx.update(&user, Values::new().with("locale", locale)).await?;
    }
    Ok(Locale { ok: true, locale, saved })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RedirectInput {
    /// Code of the language: pl, en, uk, fr, cs, sk, de or es.
    locale: String,
    /// Path on this server to go on to, such as /console; / when left out.
    #[schemars(length(max = 1000))]
    redirect: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Redirected {
    /// Always true.
    ok: bool,
    /// Code of the language.
    locale: &'static str,
    /// Whether it is kept for a user here; if not, the client keeps it.
    saved: bool,
    /// Path on this server to go on to.
    redirect: String,
}

async fn set_locale_and_go(ctx: &mut Ctx, input: RedirectInput) -> Result<Redirected> {
    let redirect = own_path(input.redirect.as_deref().unwrap_or("/"))?;
    let Locale { ok, locale, saved } = set_locale(ctx, LocaleInput { locale: input.locale }).await?;
    Ok(Redirected { ok, locale, saved, redirect })
}

/// A path of this server: a link that leads elsewhere would lend our name to whoever made it.
fn own_path(text: &str) -> Result<String> {
    let text = text.trim();
    let is_own = text.starts_with('/')
        && !text.starts_with("//")
        && !text.contains(|letter: char| letter == '\\' || letter.is_control() || letter.is_whitespace())
        && text.len() <= 1000;
    if is_own {
        return Ok(text.to_owned());
    }
    Err(Error::invalid("/redirect", "must be a path on this server, such as /console"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_languages_are_read_as_browsers_send_them() {
        assert_eq!(locale_of("/locale", "pl").unwrap(), "pl");
        assert_eq!(locale_of("/locale", " UK-ua ").unwrap(), "uk");
        assert_eq!(
            locale_of("/locale", "ru").unwrap_err().message(),
            "/locale: expected one of pl, en, uk, fr, cs, sk, de, es, got `ru`"
        );
    }

    #[test]
    fn links_lead_nowhere_else() {
        assert_eq!(own_path("/console?a=b#c").unwrap(), "/console?a=b#c");
        for elsewhere in ["https://example.org", "//example.org", "/\\example.org", "console", "", "/a b", "/a\nb"] {
            assert!(own_path(elsewhere).is_err(), "{elsewhere}");
        }
    }
}
