//! API keys: lasting credentials of a user, or of a program that stands for itself.

use bureau_kit::access::{WEB_TOKEN, web_token_slot};
use bureau_kit::address::AddressRange;
use bureau_kit::guards::{Guard, stands};
use bureau_kit::prelude::*;
use bureau_kit::rights::{Credential, features_of};
use bureau_kit::token::{self, TokenKind};

use crate::grants::{self, texts};
use crate::sessions::{self, SESSIONS, ancestry_of, list_of};
use crate::users::User;
use crate::{api_key_rows, api_key_update, roles};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("api_key_list", "api_keys.view", api_key_rows::list)
            .title("List API keys")
            .about(
                "List the API keys of the tenant with owner, first letters, limits, expiry and last use; never the keys \
                 themselves. Session tokens are session_list.",
            )
            .synonyms("tokens credentials integrations klucze api tokeny ключі api токени"),
        Tool::read("api_key_show", "api_keys.view", api_key_rows::show)
            .title("Show an API key")
            .about(
                "Show one API key with owner, limits, expiry, last use and how many sessions made from it are open; never the \
                 key itself.",
            )
            .synonyms("token credential klucz api токен ключ"),
        Tool::create("api_key_create", "api_keys.create", create)
            .irreversible("a key that was handed out is ended by api_key_delete")
            .on(&API_KEYS)
            .shown_once("secret")
            .title("Create an API key")
            .about(
                "Make a lasting API key for yourself or another user, limited to some features or addresses if you like. It can \
                 never do more than you hold. The key is shown once. A web_token is a secret to sign JWTs for a browser with. For a \
                 single task or agent use session_create.",
            )
            .synonyms("token jwt web token credential integration utwórz klucz api створити ключ api токен"),
        Tool::update("api_key_update", "api_keys.edit", api_key_update::update)
            .on(&API_KEYS)
            .title("Change an API key")
            .about(
                "Rename an API key, switch it off and on, narrow its features, set its expiry, or tie it to addresses. Features \
                 are only narrowed; for wider ones make another key. Counts at the next call, also for what was made from it.",
            )
            .synonyms("disable enable restrict ip allow list expiry zmień klucz api wyłącz adresy змінити ключ api вимкнути"),
        Tool::delete("api_key_delete", "api_keys.delete", delete)
            .irreversible("only the hash of a key is kept, so it cannot come back")
            .on(&API_KEYS)
            .title("Delete an API key")
            .about("Delete an API key: it stops at once, and so does every session and key that was made from it.")
            .synonyms("revoke remove token usuń unieważnij klucz api видалити ключ api"),
    ]
}

/// An API key.
#[derive(Debug)]
pub struct ApiKey;
impl Kind for ApiKey {
    const TABLE: &'static Table = &API_KEYS;
}

/// How a key is shown (Intum): as it is, or only by a token of at most 24 hours that is signed with it.
pub(crate) const KINDS: &[&str] = &["api_token", WEB_TOKEN];

pub(crate) static API_KEYS: Table = Table::new(
    "api_keys",
    "api_key",
    "A lasting credential.",
    &[
        Column::text("name", "What it is for.").max(120).required().search(),
        Column::text("description", "More about what it is for.").max(1000),
        Column::text("prefix", "First letters of the key.").required().computed(),
        Column::text("secret_hash", "Hash of the key.").secret(),
        Column::reference("user_id", "users", OnDelete::Clear, "User it acts for; null stands for itself.").filter(),
        // A column of its own: an organization limits the key, it does not own it. Without it a key would see everything.
        Column::reference("organization_id", "organizations", OnDelete::Refuse, "Organization it is limited to."),
        Column::json("ancestry", "Sessions and keys it was made by, nearest first.").required().hidden(),
        Column::json("features", "Features it is limited to; null means all of the user's."),
        Column::instant("expires_at", "When it ends; null means never."),
        Column::choice("kind", KINDS, "How it is shown: as it is, or by a token signed with it.")
            .default("\"api_token\"")
            .fixed(),
        Column::flag("active", "Whether it may be used.").default("true"),
        Column::json("allowed_addresses", "Addresses and ranges from which it may be used; null means all."),
    ],
)
.tenant_wide()
.seen(crate::reach::keys)
.deciding_rights();

/// A key to be made, whoever asks for it.
#[derive(Debug, Default)]
pub struct NewKey {
    /// What it is for.
    pub name: String,
    /// More about what it is for.
    pub description: Option<String>,
    /// User it acts for; none makes a key that stands for itself and holds `features`.
    pub user_id: Option<Uuid>,
    /// Features it is limited to.
    pub features: Option<Vec<String>>,
    /// Organization a key of its own is limited to.
    pub organization_id: Option<Uuid>,
    /// When it ends.
    pub expires_at: Option<Instant>,
    /// Whether it is shown only by tokens signed with it.
    pub is_web_token: bool,
    /// Addresses and ranges from which it may be used; none means all.
    pub allowed_addresses: Option<Vec<String>>,
    /// Sessions and keys it is made by, nearest first: ending any of them ends it.
    pub ancestry: Vec<Uuid>,
}

/// Makes an API key and answers it with its secret, which nobody sees again. Checks no right: that is the caller's part.
pub async fn mint_api_key(ctx: &mut Ctx, key: NewKey) -> Result<(Record, String)> {
    let secret = token::mint(TokenKind::ApiKey);
    let values = Values::new()
        .with("name", key.name)
        .with("description", key.description)
        .with("prefix", token::shown_prefix(&secret))
        .with("secret_hash", Val::Bytes(token::hash(&secret).to_vec()))
        .with("user_id", key.user_id)
        .with("organization_id", key.organization_id)
        .with("ancestry", json!(key.ancestry))
        .with("features", key.features.map(|features| json!(features)))
        .with("expires_at", key.expires_at)
        .with("kind", if key.is_web_token { WEB_TOKEN } else { "api_token" })
        .with("allowed_addresses", key.allowed_addresses.map(|ranges| json!(ranges)));
    let record = ctx.insert(&API_KEYS, values).await?;
    if key.is_web_token {
        // What is signed with it can only be checked with the secret itself: kept sealed, and beside the journal.
        let sealed = ctx.bureau().vault.seal(web_token_slot(record.id), secret.as_bytes())?;
        let sql = Sql::with(
            "UPDATE api_keys SET sealed_secret = $1 WHERE tenant_id = $2 AND id = $3",
            [Val::Bytes(sealed), ctx.tenant_id().into(), record.id.into()],
        );
        ctx.write_secret(&sql).await?;
    }
    Ok((record, secret))
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum KeyKind {
    /// As it is.
    #[default]
    ApiToken,
    /// By a JWT signed with it: HS256, its id as kid or iss, iat, exp at most 24 hours later, privileges to narrow it.
    WebToken,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateInput {
    /// What it is for.
    #[schemars(length(min = 1, max = 120))]
    name: String,
    /// More about what it is for.
    #[schemars(length(max = 1000))]
    description: Option<String>,
    /// User it acts for; yourself when left out. Needs to hold everything that user holds.
    user_id: Option<Id<User>>,
    /// Only these features, such as contracts.view or organize.*.
    #[serde(alias = "privileges")]
    features: Option<Vec<String>>,
    /// Only the features of these roles, by name, code or id, as they are now.
    roles: Option<Vec<String>>,
    /// When it ends; never when left out.
    expires_at: Option<Instant>,
    /// How it is shown; api_token when left out.
    #[serde(default)]
    kind: KeyKind,
    /// Addresses and ranges from which it, and all that is made from it, may be used, such as 203.0.113.7 or 10.0.0.0/8. A
    /// call over stdio or a socket file is as good as one from 127.0.0.1.
    #[serde(alias = "allowed_ips")]
    #[schemars(length(max = 100))]
    allowed_addresses: Option<Vec<String>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Created {
    /// UUID of the key.
    id: String,
    /// Number in the tenant.
    num: Option<i64>,
    /// What it is for.
    name: String,
    /// First letters of the key, by which one is told from another.
    prefix: String,
    /// How it is shown: as it is (api_token), or only by a JWT signed with it (web_token).
    kind: String,
    /// The key, shown this once. Send it as a bearer token; a web_token only signs what is sent.
    secret: String,
    /// User it acts for.
    user_id: Option<String>,
    /// Features it is limited to; null means all of the user's.
    features: Option<Vec<String>>,
    /// When it ends; null means never.
    expires_at: Option<Instant>,
    /// Addresses and ranges from which it may be used; null means all.
    allowed_addresses: Option<Vec<String>>,
}

async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<Created> {
    let name = input.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > 120 {
        return Err(Error::invalid("/name", "expected text of 1 to 120 characters"));
    }
    if input.description.as_ref().is_some_and(|text| text.chars().count() > 1000) {
        return Err(Error::invalid("/description", "is longer than 1000 characters"));
    }
    let allowed_addresses = match input.allowed_addresses {
        Some(given) => ranges(&given)?,
        None => None,
    };
    let maker = Maker::of(ctx).await?;
    let expires_at = maker.end_of(ctx, input.expires_at)?;
    let own = ctx.principal().user_id;
    let user_id = match input.user_id {
        None => own,
        Some(id) => {
            let user = ctx.fetch(id).await?;
            if Some(user.id) != own {
                grants::refuse_above(ctx, &user).await?;
            }
            Some(user.id)
        }
    };
    let mut features = wanted_features(ctx, input.features, input.roles).await?;
    if features.is_none() {
        // A key that stands for itself holds its features and nothing else; any other inherits the caller's limits.
        let held = user_id.is_none().then(|| ctx.principal().features.clone());
        features = ctx.principal().narrowing.features.clone().or(held);
    }
    let organization_id = maker.organization_id.filter(|_| user_id.is_none());
    let key = NewKey {
        name,
        description: input.description.filter(|text| !text.trim().is_empty()),
        user_id,
        features,
        organization_id,
        expires_at,
        is_web_token: input.kind == KeyKind::WebToken,
        allowed_addresses,
        ancestry: maker.ancestry,
    };
    let (record, secret) = mint_api_key(ctx, key).await?;
    Ok(Created {
        id: record.id.to_string(),
        num: record.num,
        name: record.text("name").to_owned(),
        prefix: record.text("prefix").to_owned(),
        kind: record.text("kind").to_owned(),
        secret,
        user_id: record.id_of("user_id").map(|id| id.to_string()),
        features: list_of(&record, "features")?,
        expires_at: record.get("expires_at")?,
        allowed_addresses: list_of(&record, "allowed_addresses")?,
    })
}

/// Addresses and ranges in one form; an empty list is no limit.
pub(crate) fn ranges(given: &[String]) -> Result<Option<Vec<String>>> {
    if given.len() > MOST_ADDRESSES {
        return Err(Error::invalid(
            "/allowed_addresses",
            format!("expected at most {MOST_ADDRESSES} addresses and ranges"),
        ));
    }
    let mut found: Vec<String> = Vec::with_capacity(given.len());
    for (index, text) in given.iter().enumerate() {
        let range = AddressRange::parse(text)
            .map_err(|message| Error::invalid(format!("/allowed_addresses/{index}"), message))?
            .to_string();
        if !found.contains(&range) {
            found.push(range);
        }
    }
    Ok(Some(found).filter(|found| !found.is_empty()))
}

/// Most addresses and ranges of one key.
const MOST_ADDRESSES: usize = 100;

/// Features and the features of roles, all of which the caller must hold; none when neither is given.
pub(crate) async fn wanted_features(
    ctx: &mut Ctx,
    features: Option<Vec<String>>,
    role_names: Option<Vec<String>>,
) -> Result<Option<Vec<String>>> {
    if features.is_none() && role_names.is_none() {
        return Ok(None);
    }
    let mut wanted: Vec<String> = features.into_iter().flatten().flat_map(|code| features_of(code.trim())).collect();
    for (index, name) in role_names.iter().flatten().enumerate() {
        let role = roles::named(ctx, &format!("/roles/{index}"), name).await?;
        let list: Option<Value> = role.get("features")?;
        wanted.extend(texts(list.as_ref()));
    }
    wanted.sort();
    wanted.dedup();
    grants::refuse_beyond_own(ctx, &wanted, "This key")?;
    Ok(Some(wanted))
}

/// By what a key is made, as far as it bounds the key.
///
/// Inferred: a key cannot carry every limit that a session can, and it lasts. So a session limited to toolsets, to an
/// organization or in its writes makes none, and a key made by any other minted session ends with it. So does one made
/// with an OAuth access token: an application that someone let in for an hour gets nothing that lasts.
struct Maker {
    ancestry: Vec<Uuid>,
    ends: Option<Instant>,
    organization_id: Option<Uuid>,
}

impl Maker {
    async fn of(ctx: &mut Ctx) -> Result<Self> {
        let principal = ctx.principal().clone();
        match principal.credential {
            Credential::LocalOwner | Credential::Nobody => {
                Ok(Self { ancestry: Vec::new(), ends: None, organization_id: None })
            }
            Credential::OAuth(id) => Ok(Self { ancestry: vec![id], ends: principal.expires_at, organization_id: None }),
            Credential::ApiKey(id) => {
                let key = own(ctx, id).await?;
                let ancestry = std::iter::once(id).chain(ancestry_of(&key)?).collect();
                Ok(Self { ancestry, ends: principal.expires_at, organization_id: key.id_of("organization_id") })
            }
            Credential::Session(id) => {
                let session = ctx.find_in(&SESSIONS, Key::Uuid(id)).await?;
                let session = session.ok_or_else(|| Error::unauthenticated("Your session has ended."))?;
                let limit = if principal.narrowing.toolsets.is_some() {
                    Some("toolsets")
                } else if session.id_of("organization_scope_id").is_some() {
                    Some("organization")
                } else if principal.has_write_budget {
                    Some("writes")
                } else {
                    None
                };
                if let Some(limit) = limit.filter(|_| stands(Guard::KeyOfLimitedSession)) {
                    return Err(Error::forbidden(format!(
                        "Your session is limited in its {limit}, and a key cannot carry that limit. Use session_create instead."
                    ))
                    .with("missing", limit));
                }
                let organization_id = match session.id_of("api_key_id") {
                    Some(key) => own(ctx, key).await?.id_of("organization_id"),
                    None => None,
                };
                let minted = !principal.ancestry.is_empty();
                let ancestry = std::iter::once(id).chain(ancestry_of(&session)?).filter(|_| minted).collect();
                Ok(Self { ancestry, ends: principal.expires_at.filter(|_| minted), organization_id })
            }
        }
    }

    fn end_of(&self, ctx: &Ctx, wanted: Option<Instant>) -> Result<Option<Instant>> {
        if wanted.is_some_and(|end| end <= ctx.now()) {
            return Err(Error::invalid("/expires_at", "has passed already; name a later time"));
        }
        match (wanted, self.ends) {
            (Some(wanted), Some(own)) if wanted > own => Err(Error::invalid(
                "/expires_at",
                format!(
                    "is later than the end of your own token, {own}; a key made from it ends with it at the latest"
                ),
            )),
            (wanted, own) => Ok(wanted.or(own.filter(|_| stands(Guard::KeyEnd)))),
        }
    }
}

async fn own(ctx: &mut Ctx, id: Uuid) -> Result<Record> {
    let key = ctx.find_in(&API_KEYS, Key::Uuid(id)).await?;
    key.ok_or_else(|| Error::unauthenticated("Your API key has been deleted."))
}

/// What a key was made by, nearest first.
pub(crate) async fn ancestry(ctx: &mut Ctx, id: Uuid) -> Result<Vec<Uuid>> {
    ancestry_of(&own(ctx, id).await?)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeleteInput {
    /// UUID or number of the key.
    id: Id<ApiKey>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Deleted {
    /// Always true.
    ok: bool,
    /// UUID of the key that was deleted.
    id: String,
    /// How many sessions and keys made from it ended with it.
    revoked: usize,
}

async fn delete(ctx: &mut Ctx, input: DeleteInput) -> Result<Deleted> {
    let key = ctx.fetch(input.id).await?;
    let revoked = sessions::end_descendants(ctx, key.id).await?;
    ctx.delete(&key).await?;
    Ok(Deleted { ok: true, id: key.id.to_string(), revoked })
}

/// Ends the keys of a user who is about to go. They stay as rows, so that undo can give them back.
pub(crate) async fn end_of_user(ctx: &mut Ctx, user: Uuid) -> Result<()> {
    let mut sql = living(ctx);
    sql.and_eq("user_id", user).push(" ORDER BY id");
    end(ctx, &sql).await.map(drop)
}

/// Ends the keys that were made by a session or key, however far down; answers how many.
pub(crate) async fn end_made_by(ctx: &mut Ctx, ancestor: Uuid) -> Result<usize> {
    let mut sql = living(ctx);
    sql.push(" AND CAST(ancestry AS TEXT) LIKE ").bind(format!("%{ancestor}%")).push(" ORDER BY id");
    end(ctx, &sql).await
}

fn living(ctx: &Ctx) -> Sql {
    let now = ctx.now();
    let mut sql = ctx.from_tenant(&API_KEYS);
    sql.push(" AND (expires_at IS NULL OR expires_at > ").bind(now).push(")");
    sql
}

async fn end(ctx: &mut Ctx, sql: &Sql) -> Result<usize> {
    let found = ctx.records(&API_KEYS, sql).await?;
    for key in &found {
        ctx.update(key, Values::new().with("expires_at", ctx.now())).await?;
    }
    Ok(found.len())
}
