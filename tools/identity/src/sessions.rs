//! Sessions: tokens minted from a key, a login or another session, each at most as wide as what it was minted from.
//! Listing, refreshing and ending them; see `session_mint` for making them.

use bureau_kit::access::WEB_TOKEN;
use bureau_kit::guards::{Guard, stands};
use bureau_kit::prelude::*;
use bureau_kit::rights::{Credential, Principal};
use bureau_kit::uses::Use;

use crate::api_key_rows::{LastUse, uses_of};
use crate::grants::texts;
use crate::session_mint;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::create("session_create", "", session_mint::create)
            .irreversible("a token that was handed out is ended by session_revoke")
            .shown_once("session_token")
            .title("Create a session token")
            .about(
                "Mint a session token from yours, for an agent or a task. It can only be narrower: fewer features or toolsets, \
                 one organization, read-only, a write budget, a shorter life. The token is shown once; send it as \
                 _sessionToken or bearer.",
            )
            .synonyms("delegate token narrow agent login utwórz sesję token dostęp створити сесію токен"),
        Tool::create("ai_session_key_create", "ai_assistant.view", session_mint::create_for_assistant)
            .irreversible("a token that was handed out is ended by session_revoke")
            .shown_once("sessionToken")
            .title("Create an assistant session")
            .about(
                "Mint a session token of 120 minutes that may do what you may, for an AI assistant. It is passed to other calls \
                 as _sessionToken. session_create makes narrower ones.",
            )
            .synonyms("ai chat key token asystent klucz sesja асистент ключ сесія"),
        Tool::read("session_list", "", list)
            .title("List sessions")
            .about(
                "List your sessions that have not ended, with what each is narrowed to; never their tokens. With \
                 auth.sessions.manage those of everyone.",
            )
            .synonyms("tokens active logins sesje tokeny zalogowani сесії токени"),
        Tool::action("session_refresh", "", refresh)
            .irreversible("the session is ended by session_revoke")
            .on(&SESSIONS)
            .title("Refresh a session")
            .about(
                "Give a session its whole life again from now on: the calling one, or one minted from it. Never longer than \
                 what it was minted from, and 30 days in all.",
            )
            .synonyms("extend prolong renew przedłuż odśwież sesję подовжити оновити сесію"),
        Tool::action("session_revoke", "", revoke)
            .irreversible("an ended token stays ended; mint another with session_create")
            .on(&SESSIONS)
            .destructive()
            .idempotent()
            .title("Revoke a session")
            .about(
                "End a session at once, with every session and key that was made from it. Without id the calling one. Your \
                 own and those minted from it; with auth.sessions.manage any.",
            )
            .synonyms("end logout kill token zakończ sesję unieważnij wyloguj завершити відкликати сесію"),
    ]
}

/// A session.
#[derive(Debug)]
pub struct Session;
impl Kind for Session {
    const TABLE: &'static Table = &SESSIONS;
}

pub(crate) static SESSIONS: Table = Table::new(
    "sessions",
    "session",
    "A token with its limits.",
    &[
        Column::text("label", "What it is for."),
        Column::text("prefix", "First letters of the token.").required().computed(),
        Column::text("token_hash", "Hash of the token.").secret(),
        Column::reference("user_id", "users", OnDelete::Clear, "Whose rights it carries.").computed(),
        Column::reference("api_key_id", "api_keys", OnDelete::Clear, "Key it was minted from.").computed(),
        Column::json("ancestry", "Sessions and keys it was minted from, nearest first.").required().hidden(),
        Column::json("features", "Features it is limited to; null means all of the user's.").computed(),
        Column::json("toolsets", "Toolsets it is limited to; null means all.").computed(),
        Column::reference("organization_scope_id", "organizations", OnDelete::Clear, "Organization it is limited to.")
            .computed(),
        Column::flag("read_only", "Whether it may only read.").computed(),
        Column::count("write_budget", 0, i64::MAX, "Writes it was given.").computed(),
        // Counted down by the gate, beside the journal.
        Column::count("writes_left", 0, i64::MAX, "Writes that are left.").hidden(),
        Column::count("ttl_minutes", 1, session_mint::LONGEST_MINUTES, "Life that a refresh gives again.")
            .required()
            .computed(),
        Column::instant("expires_at", "When it ends.").required().computed(),
        Column::instant("revoked_at", "When it was ended before its time.").computed(),
    ],
)
.tenant_wide()
.seen(crate::reach::sessions)
.deciding_rights();

/// A session as tools answer it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SessionRow {
    /// UUID of the session.
    id: String,
    /// Number in the tenant.
    num: Option<i64>,
    /// What it is for.
    label: Option<String>,
    /// First letters of the token, by which one is told from another.
    prefix: String,
    /// User whose rights it carries.
    user_id: Option<String>,
    /// API key it was minted from.
    api_key_id: Option<String>,
    /// Session or key it was minted from.
    minted_from: Option<String>,
    /// Features it is limited to; null means all of the user's.
    features: Option<Vec<String>>,
    /// Toolsets it is limited to; null means all.
    toolsets: Option<Vec<String>>,
    /// Organization it is limited to.
    organization_id: Option<String>,
    /// Whether it may only read.
    read_only: bool,
    /// Writes it was given; null means no limit.
    write_budget: Option<i64>,
    /// Writes that are left.
    writes_left: Option<i64>,
    /// Life in minutes that a refresh gives again.
    ttl_minutes: i64,
    /// When it ends.
    pub(crate) expires_at: Instant,
    /// When it was ended before its time.
    revoked_at: Option<Instant>,
    /// Whether it is the session of this call.
    is_current: bool,
    /// Grows with every change.
    version: i64,
    /// When it was minted.
    created_at: Instant,
    /// Its last use.
    #[serde(flatten)]
    last_use: LastUse,
}

impl SessionRow {
    /// One session.
    pub(crate) async fn one(ctx: &mut Ctx, session: &Record) -> Result<Self> {
        let uses = uses_of(ctx, std::slice::from_ref(session)).await?;
        Self::of(ctx, session, uses.get(&session.id))
    }

    /// A session that nobody can have used yet.
    pub(crate) fn fresh(ctx: &Ctx, session: &Record) -> Result<Self> {
        Self::of(ctx, session, None)
    }

    fn of(ctx: &Ctx, session: &Record, used: Option<&Use>) -> Result<Self> {
        let id = |column: &str| session.id_of(column).map(|id| id.to_string());
        Ok(Self {
            id: session.id.to_string(),
            num: session.num,
            label: session.get("label")?,
            prefix: session.text("prefix").to_owned(),
            user_id: id("user_id"),
            api_key_id: id("api_key_id"),
            minted_from: ancestry_of(session)?.first().map(Uuid::to_string),
            features: list_of(session, "features")?,
            toolsets: list_of(session, "toolsets")?,
            organization_id: id("organization_scope_id"),
            read_only: session.flag("read_only"),
            write_budget: session.get("write_budget")?,
            writes_left: session.get("writes_left")?,
            ttl_minutes: session.get("ttl_minutes")?,
            expires_at: session.get("expires_at")?,
            revoked_at: session.get("revoked_at")?,
            is_current: ctx.principal().credential == Credential::Session(session.id),
            version: session.version,
            created_at: session.created_at,
            last_use: LastUse::of(used),
        })
    }
}

/// A JSON list of texts in a column; none when NULL.
pub(crate) fn list_of(record: &Record, column: &str) -> Result<Option<Vec<String>>> {
    let list: Option<Value> = record.get(column)?;
    Ok(list.map(|list| texts(Some(&list))))
}

/// Sessions and keys that a session or key was made from, nearest first.
pub(crate) fn ancestry_of(record: &Record) -> Result<Vec<Uuid>> {
    let ids = list_of(record, "ancestry")?.unwrap_or_default();
    Ok(ids.iter().filter_map(|id| Uuid::try_parse(id).ok()).collect())
}

/// The right to see and end everyone's sessions.
pub(crate) const MANAGE: &str = "auth.sessions.manage";

/// Whether a session is the caller's own: itself, minted from the caller's token, or of the same user.
///
/// Inferred: a session minted from another reaches only itself and what was minted from it. Otherwise a token made narrow
/// for one task could end all the others of its user.
pub(crate) fn is_own(ctx: &Ctx, session: &Record) -> Result<bool> {
    let principal = ctx.principal();
    if !stands(Guard::SessionOfOthers) {
        return Ok(true);
    }
    let same_user = principal.user_id.is_some() && session.id_of("user_id") == principal.user_id;
    Ok(match &principal.credential {
        Credential::Session(id) | Credential::ApiKey(id) | Credential::OAuth(id)
            if session.id == *id || ancestry_of(session)?.contains(id) =>
        {
            true
        }
        _ => reaches_all_of_user(principal) && same_user,
    })
}

/// Whether the caller's token reaches everything of its user: a narrow one reaches only itself and what was made from it.
pub(crate) fn reaches_all_of_user(principal: &Principal) -> bool {
    match &principal.credential {
        Credential::Session(_) => principal.ancestry.is_empty(),
        Credential::ApiKey(_) => principal.narrowing.features.is_none(),
        Credential::OAuth(_) | Credential::LocalOwner | Credential::Nobody => true,
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// Only those of this user; others' need auth.sessions.manage.
    user_id: Option<Id<crate::users::User>>,
    /// Also those that have ended.
    include_ended: Option<bool>,
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Rows on a page, 50 when left out.
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Page<SessionRow>> {
    let (page, size) = page::Wanted { page: input.page, page_size: input.page_size }.checked()?;
    let user = match input.user_id {
        Some(id) => Some(ctx.reference("user_id", id).await?),
        None => None,
    };
    let now = ctx.now();
    let principal = ctx.principal().clone();
    let filter = |sql: &mut Sql| {
        if !input.include_ended.unwrap_or_default() {
            sql.push(" AND revoked_at IS NULL AND expires_at > ").bind(now);
        }
        if let Some(user) = user {
            sql.and_eq("user_id", user);
        }
        if principal.may(&[MANAGE]) {
            return;
        }
        sql.push(" AND (FALSE");
        if let (true, Some(user)) = (reaches_all_of_user(&principal), principal.user_id) {
            sql.push(" OR user_id = ").bind(user);
        }
        if let Credential::Session(id) | Credential::ApiKey(id) | Credential::OAuth(id) = &principal.credential {
            sql.push(" OR id = ").bind(*id).push(" OR CAST(ancestry AS TEXT) LIKE ").bind(format!("%{id}%"));
        }
        sql.push(")");
    };
    let mut counted = ctx.select("1", &SESSIONS);
    filter(&mut counted);
    let mut sql = ctx.from(&SESSIONS);
    filter(&mut sql);
    page::order(&mut sql, "num", false, true);
    let Page { items, total, total_is_exact, page, page_size, total_pages } =
        page::fetch(ctx, &SESSIONS, page::Query { rows: sql, counted, page, page_size: size }).await?;
    let uses = uses_of(ctx, &items).await?;
    let items =
        items.iter().map(|session| SessionRow::of(ctx, session, uses.get(&session.id))).collect::<Result<_>>()?;
    Ok(Page { items, total, total_is_exact, page, page_size, total_pages })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SessionInput {
    /// UUID or number of the session; the calling one when left out.
    id: Option<Id<Session>>,
}

/// The session a call means; one that the caller may not touch is as good as none.
async fn meant(ctx: &mut Ctx, id: Option<Id<Session>>, others: bool) -> Result<Record> {
    let id = match (id, &ctx.principal().credential) {
        (Some(id), _) => id,
        (None, Credential::Session(id)) => Id::from(*id),
        (None, _) => {
            return Err(Error::invalid("/id", "is required, since this call came without a session; see session_list"));
        }
    };
    let session = ctx.fetch(id).await?;
    if is_own(ctx, &session)? || (others && ctx.principal().may(&[MANAGE])) {
        return Ok(session);
    }
    Err(Error::not_found("session", id.key()))
}

async fn refresh(ctx: &mut Ctx, input: SessionInput) -> Result<SessionRow> {
    let session = meant(ctx, input.id, false).await?;
    let now = ctx.now();
    let ends: Instant = session.get("expires_at")?;
    if !matches!(session.cell("revoked_at"), Val::Null) || ends <= now {
        return Err(Error::impossible_state("This session has ended. Mint another with session_create."));
    }
    let ttl: i64 = session.get("ttl_minutes")?;
    let longest = session.created_at.plus_minutes(session_mint::LONGEST_MINUTES);
    let mut wanted = now.plus_minutes(ttl).min(longest);
    if let (Some(bound), true) = (parent_end(ctx, &session).await?, stands(Guard::RefreshWithinParent)) {
        wanted = wanted.min(bound);
    }
    // Never shorter than it was.
    let refreshed = ctx.update(&session, Values::new().with("expires_at", wanted.max(ends))).await?;
    SessionRow::one(ctx, &refreshed).await
}

/// When the session or key ends that this one was minted from; none when that has no end.
async fn parent_end(ctx: &mut Ctx, session: &Record) -> Result<Option<Instant>> {
    let Some(parent) = ancestry_of(session)?.first().copied() else { return Ok(None) };
    let sql = Sql::with(
        "SELECT expires_at FROM sessions WHERE tenant_id = $1 AND id = $2 \
         UNION ALL SELECT expires_at FROM api_keys WHERE tenant_id = $1 AND id = $2 AND kind <> $3",
        [ctx.tenant_id().into(), parent.into(), WEB_TOKEN.into()],
    );
    match ctx.rows(&sql).await?.first() {
        Some(row) => row.get(0),
        // What it was minted from is gone, or was a JWT whose end is kept nowhere else: it gets no more time.
        None => Ok(Some(ctx.now())),
    }
}

#[derive(Debug, Serialize, JsonSchema)]
struct Revoked {
    /// Always true.
    ok: bool,
    /// The session.
    session: SessionRow,
    /// How many sessions and keys ended, those minted from it included; 0 when all had ended before.
    revoked: usize,
}

async fn revoke(ctx: &mut Ctx, input: SessionInput) -> Result<Revoked> {
    let session = meant(ctx, input.id, true).await?;
    let revoked = end(ctx, &session).await?;
    let shown = ctx.fetch_from(&SESSIONS, session.id).await?;
    Ok(Revoked { ok: true, session: SessionRow::one(ctx, &shown).await?, revoked })
}

/// Ends a session, and what was made from it; answers how many ended now.
pub(crate) async fn end(ctx: &mut Ctx, session: &Record) -> Result<usize> {
    let mut ended = 0_usize;
    if matches!(session.cell("revoked_at"), Val::Null) {
        ctx.update(session, Values::new().with("revoked_at", ctx.now())).await?;
        ended = 1;
    }
    Ok(ended.saturating_add(end_descendants(ctx, session.id).await?))
}

/// Ends everything that was made from a session or key, however far down.
pub(crate) async fn end_descendants(ctx: &mut Ctx, ancestor: Uuid) -> Result<usize> {
    if !stands(Guard::Descendants) {
        return Ok(0);
    }
    let mut sql = ctx.from_tenant(&SESSIONS);
    sql.push(" AND revoked_at IS NULL AND CAST(ancestry AS TEXT) LIKE ")
        .bind(format!("%{ancestor}%"))
        .push(" ORDER BY id");
    let sessions = end_found(ctx, &sql).await?.len();
    Ok(sessions.saturating_add(crate::api_keys::end_made_by(ctx, ancestor).await?))
}

/// Ends the sessions limited to an organization that is about to go: without it they would be limited to nothing.
pub(crate) async fn end_of_scope(ctx: &mut Ctx, organization: Uuid) -> Result<()> {
    let mut sql = ctx.from_tenant(&SESSIONS);
    sql.and_eq("organization_scope_id", organization).push(" AND revoked_at IS NULL ORDER BY id");
    end_all(ctx, &sql).await.map(drop)
}

/// Ends the sessions that a statement finds, and what was made from each; answers how many ended.
pub(crate) async fn end_all(ctx: &mut Ctx, sql: &Sql) -> Result<usize> {
    let ended = end_found(ctx, sql).await?;
    let mut count = ended.len();
    let ids: Vec<Uuid> = ended.iter().map(|session| session.id).collect();
    for session in &ended {
        // What was made from one of the others ends with that one.
        if !ancestry_of(session)?.iter().any(|ancestor| ids.contains(ancestor)) {
            count = count.saturating_add(end_descendants(ctx, session.id).await?);
        }
    }
    Ok(count)
}

async fn end_found(ctx: &mut Ctx, sql: &Sql) -> Result<Vec<Record>> {
    let found = ctx.records(&SESSIONS, sql).await?;
    for session in &found {
        ctx.update(session, Values::new().with("revoked_at", ctx.now())).await?;
    }
    Ok(found)
}
