//! The tools by which people open accounts by themselves; see `onboarding` for what they do.

use bureau_kit::installation::SelfService;
use bureau_kit::prelude::*;

use crate::account::AccountRow;
use crate::login::LOGIN_MINUTES;
use crate::onboarding::{self, AccountWish, Opened, Paths, Wish};
use crate::session_mint::{self, CreateInput as SessionInput};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::create("onboarding_start", "", start)
            .public()
            .open_world()
            .irreversible("its mail is on its way; a request that nobody confirms is forgotten after two days")
            .title("Open an account")
            .about(
                "Ask for an account of your own on this installation. A mail with a link goes to the address; its token, given \
                 to onboarding_verify within a day, founds the account. Only where self-service is switched on.",
            )
            .synonyms("sign up register trial account załóż konto rejestracja зареєструватися створити акаунт"),
        Tool::action("onboarding_verify", "", verify)
            .public()
            .irreversible("the account is founded, and the token is used up")
            .shown_once("token")
            .title("Confirm an account")
            .about(
                "Confirm the address with the token of the mail that onboarding_start sent. Founds the account with you as its \
                 owner and signs you in: send the answer's token as bearer or _sessionToken.",
            )
            .synonyms("verify email confirm registration potwierdź konto rejestrację підтвердити реєстрацію"),
        Tool::create("account_create", "", create)
            .public()
            .open_world()
            .irreversible("the account is founded, or its mail is on its way")
            .shown_once("api_token")
            .title("Create an account")
            .about(
                "Ask for an account with its name, short name, language and first user. Where self-service is unverified it is \
                 there at once, with an API token; else a mail goes out and onboarding_verify founds it.",
            )
            .synonyms("sign up register new account utwórz konto створити обліковий запис"),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StartInput {
    /// E-mail address: the mail goes there, and you will sign in with it.
    #[schemars(length(max = 254))]
    email: String,
    /// First name.
    #[serde(alias = "firstName")]
    #[schemars(length(min = 1, max = 100))]
    first_name: String,
    /// Last name.
    #[serde(alias = "lastName")]
    #[schemars(length(min = 1, max = 100))]
    last_name: String,
    /// Name of the company.
    #[serde(alias = "organizationName")]
    #[schemars(length(min = 1, max = 200))]
    organization_name: String,
    /// Password: at least 6 characters, a digit, a capital letter and a special character.
    #[schemars(length(max = 120))]
    password: String,
    /// The same password again.
    #[serde(alias = "confirmPassword")]
    #[schemars(length(max = 120))]
    confirm_password: String,
    /// Whether you accept the terms of whoever runs the installation; must be true.
    #[serde(alias = "termsAccepted")]
    terms_accepted: bool,
    /// Language: pl, en, fr, cs, sk, de, es or uk.
    #[schemars(length(max = 10))]
    locale: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Started {
    /// Always true.
    ok: bool,
    /// Where the mail goes.
    email: String,
}

async fn start(ctx: &mut Ctx, input: StartInput) -> Result<Started> {
    onboarding::refuse_off(ctx)?;
    onboarding::refuse_flood(ctx)?;
    if !input.terms_accepted {
        return Err(Error::invalid("/terms_accepted", "must be true: an account needs the terms to be accepted"));
    }
    if input.password != input.confirm_password {
        return Err(Error::invalid("/confirm_password", "is not the same as password"));
    }
    for (path, name) in [("/first_name", &input.first_name), ("/last_name", &input.last_name)] {
        if name.trim().is_empty() {
            return Err(Error::invalid(path, "must not be blank"));
        }
    }
    let wish = Wish {
        email: input.email.clone(),
        password: input.password,
        login: None,
        first_name: input.first_name,
        last_name: input.last_name,
        account: AccountWish { name: input.organization_name, locale: input.locale, ..AccountWish::default() },
    };
    let request = onboarding::checked(ctx, wish, Paths { user: "", account: "", name: "organization_name" }).await?;
    onboarding::keep(ctx, request).await?;
    Ok(Started { ok: true, email: input.email.trim().to_owned() })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct VerifyInput {
    /// The token of the mail.
    #[schemars(length(max = 100))]
    token: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Verified {
    /// Always true.
    ok: bool,
    /// A session token of eight hours, shown this once.
    token: String,
    /// When it ends.
    expires_at: Instant,
    /// The account.
    account: AccountRow,
    /// UUID of its owner: you.
    user_id: String,
}

async fn verify(ctx: &mut Ctx, input: VerifyInput) -> Result<Verified> {
    onboarding::refuse_off(ctx)?;
    let opened = onboarding::confirmed(ctx, &input.token).await?;
    let (session, token) = session_mint::mint(ctx, SessionInput::whole("Sign-up", LOGIN_MINUTES)).await?;
    Ok(Verified {
        ok: true,
        token,
        expires_at: session.get("expires_at")?,
        account: opened.account()?,
        user_id: opened.owner.id.to_string(),
    })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateInput {
    /// The account.
    account: AccountInput,
    /// Its first user, who owns it.
    user: UserInput,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AccountInput {
    /// Name of the company.
    #[schemars(length(min = 1, max = 200))]
    name: String,
    /// What it does.
    #[schemars(length(max = 2000))]
    description: Option<String>,
    /// A domain of the company; proven later with domain_verify.
    #[schemars(length(max = 253))]
    domain: Option<String>,
    /// Time zone by its IANA name, such as Europe/Warsaw.
    timezone: Option<String>,
    /// Language: pl, en, fr, cs, sk, de, es or uk.
    #[schemars(length(max = 10))]
    locale: Option<String>,
    /// Short name of small Latin letters, digits and hyphens, unique in the installation.
    #[schemars(length(max = 63))]
    prefix: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UserInput {
    /// E-mail address to sign in with.
    #[schemars(length(max = 254))]
    email: String,
    /// Password: at least 6 characters, a digit, a capital letter and a special character.
    #[schemars(length(max = 120))]
    password: String,
    /// Name as it is shown, when neither first nor last name is given.
    #[schemars(length(max = 100))]
    login: Option<String>,
    /// First name.
    #[schemars(length(max = 100))]
    first_name: Option<String>,
    /// Last name.
    #[schemars(length(max = 100))]
    last_name: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Created {
    /// Always true.
    ok: bool,
    /// Where the mail went, or the address of the owner.
    email: String,
    /// Whether a mail has to be answered first, with onboarding_verify.
    verification_required: bool,
    /// The account; null while a mail has to be answered.
    account: Option<AccountRow>,
    /// A key of its owner, shown this once; null while a mail has to be answered.
    api_token: Option<String>,
}

async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<Created> {
    let allowed = onboarding::refuse_off(ctx)?;
    onboarding::refuse_flood(ctx)?;
    let CreateInput { account, user } = input;
    let email = user.email.trim().to_owned();
    let wish = Wish {
        email: user.email,
        password: user.password,
        login: user.login,
        first_name: user.first_name.unwrap_or_default(),
        last_name: user.last_name.unwrap_or_default(),
        account: AccountWish {
            name: account.name,
            description: account.description,
            domain: account.domain,
            timezone: account.timezone,
            locale: account.locale,
            prefix: account.prefix,
        },
    };
    let request = onboarding::checked(ctx, wish, Paths { user: "/user", account: "/account", name: "name" }).await?;
    if allowed == SelfService::Verified {
        onboarding::keep(ctx, request).await?;
        return Ok(Created { ok: true, email, verification_required: true, account: None, api_token: None });
    }
    let opened: Opened = onboarding::opened_at_once(ctx, request).await?;
    let account = opened.account()?;
    Ok(Created { ok: true, email, verification_required: false, account: Some(account), api_token: opened.key })
}
