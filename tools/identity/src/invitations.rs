//! Invitations: letting someone in by e-mail. At most one is active for an address.

use bureau_kit::db::Tx;
use bureau_kit::mail::{Draft, Letter, Request};
use bureau_kit::prelude::*;
use bureau_kit::token::{self, TokenKind};

use crate::users::USERS;
use crate::{grants, roles};

/// Name of the mail's template.
const TEMPLATE: &str = "invitation";

/// An invitation.
#[derive(Debug)]
pub struct Invitation;
impl Kind for Invitation {
    const TABLE: &'static Table = &INVITATIONS;
}

/// The invited person's record is of a higher group, so it is held as a reference to a record of any kind.
const PERSON: Column =
    Column { required: false, ..Column::subject_id("person_id", OnDelete::Clear, "Customer who is invited.") };

pub(crate) static INVITATIONS: Table = Table::new(
    "invitations",
    "invitation",
    "An e-mail that lets someone in.",
    &[
        Column::email("email", "Address it was sent to.").required().computed(),
        Column::text("email_folded", "Address in lower case.").required().hidden(),
        PERSON.computed(),
        Column::reference("user_id", "users", OnDelete::Clear, "User it was sent to, or who accepted it.").computed(),
        Column::text("role", "Main role of the user who accepts it.").required().computed(),
        Column::flag("is_admin", "Whether it makes an administrator.").computed(),
        Column::flag("is_staff", "Whether it makes a member of the staff.").computed(),
        Column::json("enrollment_config", "Settings of the enrolment, kept as given.").computed(),
        Column::text("redirect_to", "Where the person goes after accepting.").computed(),
        Column::text("token_hash", "Hash of the token in the mail that was sent last.").secret(),
        Column::flag("auto_accept", "Whether the first log-in accepts it.").default("true").computed(),
        Column::flag("active", "Whether it can still be accepted.").default("true").computed(),
        Column::instant("accepted_at", "When it was accepted.").computed(),
    ],
)
.tenant_wide();

/// An invitation to be sent.
#[derive(Debug)]
pub struct Invite {
    /// Address to send it to.
    pub email: Email,
    /// Customer who is invited.
    pub person_id: Option<Uuid>,
    /// User who exists already and gets the mail.
    pub user_id: Option<Uuid>,
    /// Main role of the user who accepts it.
    pub role: String,
    /// Whether it makes an administrator, which the inviter must be allowed to.
    pub is_admin: bool,
    /// Whether it makes a member of the staff.
    pub is_staff: bool,
    /// Settings of the enrolment.
    pub enrollment_config: Option<Value>,
    /// Where the person goes after accepting; at most 255 characters.
    pub redirect_to: Option<String>,
}

impl Invite {
    /// An invitation for an ordinary user.
    pub fn to(email: Email) -> Self {
        Self {
            email,
            person_id: None,
            user_id: None,
            role: crate::builtin::USUAL.to_owned(),
            is_admin: false,
            is_staff: false,
            enrollment_config: None,
            redirect_to: None,
        }
    }
}

/// The active invitation for an address.
pub(crate) async fn active(ctx: &mut Ctx, email: &Email) -> Result<Option<Record>> {
    let mut sql = ctx.from(&INVITATIONS);
    sql.and_eq("email_folded", email.folded()).push(" AND active");
    ctx.first(&INVITATIONS, sql).await
}

/// Stores an invitation and gives its mail to the outbox. A second active one for the same address is a conflict that
/// names the first in `details.invitation_id`.
///
/// The right to invite includes letting in ordinary users, as with the CRM Inviter of iblai, who holds nothing else; any
/// other role must be covered by what the inviter holds.
pub async fn invite(ctx: &mut Ctx, invite: Invite) -> Result<Record> {
    if let Some(earlier) = active(ctx, &invite.email).await? {
        return Err(Error::conflict(format!(
            "An invitation for {} is active already. It has been sent; wait for it to be accepted.",
            invite.email
        ))
        .with("invitation_id", earlier.id.to_string())
        .with("invitation_num", earlier.num));
    }
    if invite.redirect_to.as_ref().is_some_and(|target| target.chars().count() > 255) {
        return Err(Error::invalid("/redirect_to", "is longer than 255 characters"));
    }
    let role = if invite.is_admin { "admin" } else { invite.role.as_str() };
    let role = roles::coded(ctx, role)
        .await?
        .ok_or_else(|| Error::invalid("/role", "there is no such role; see role_list"))?;
    let code = role.text("code").to_owned();
    if invite.is_staff || !matches!(code.as_str(), "user" | "guest") {
        grants::refuse_role(ctx, &role)?;
    }
    let values = Values::new()
        .with("email", invite.email.as_str())
        .with("email_folded", invite.email.folded())
        .with("person_id", invite.person_id)
        .with("user_id", invite.user_id)
        .with("role", code)
        .with("is_admin", invite.is_admin)
        .with("is_staff", invite.is_staff)
        .with("enrollment_config", invite.enrollment_config)
        .with("redirect_to", invite.redirect_to);
    let invitation = ctx.insert(&INVITATIONS, values).await?;
    let locale = own_locale(ctx).await?;
    let beside = Map::from_iter([
        ("to".to_owned(), json!(invite.email.as_str())),
        ("inviter".to_owned(), json!(ctx.principal().label)),
        ("locale".to_owned(), json!(locale)),
    ]);
    ctx.send_mail(TEMPLATE, invitation.id, beside);
    Ok(invitation)
}

/// The inviter's language: of somebody who is no user yet, no better one is known.
async fn own_locale(ctx: &mut Ctx) -> Result<Option<String>> {
    let Some(user) = ctx.principal().user_id else { return Ok(None) };
    let mut sql = ctx.select("locale", &USERS);
    sql.and_eq("id", user);
    ctx.rows(&sql).await?.first().map_or(Ok(None), |row| row.get(0))
}

/// The mail that lets someone in.
#[derive(Debug)]
pub(crate) struct InvitationLetter;

impl Letter for InvitationLetter {
    fn template(&self) -> &'static str {
        TEMPLATE
    }

    fn write<'a>(&'a self, tx: &'a mut Tx, request: &'a Request<'a>) -> BoxFuture<'a, Result<Option<Draft>>> {
        Box::pin(async move {
            let token = token::mint(TokenKind::Invitation);
            let rows = tx
                .query(&Sql::with(
                    "UPDATE invitations SET token_hash = $1 WHERE tenant_id = $2 AND id = $3 AND active RETURNING email, user_id",
                    [
                        Val::Bytes(token::hash(&token).to_vec()),
                        request.tenant_id.into(),
                        request.subject_id.into(),
                    ],
                ))
                .await?;
            // Accepted or withdrawn meanwhile.
            let Some(row) = rows.first() else { return Ok(None) };
            let (to, user): (String, Option<Uuid>) = (row.get(0)?, row.get(1)?);
            let rows = tx
                .query(&Sql::with(
                    "SELECT tenants.name, users.locale FROM tenants LEFT JOIN users ON users.tenant_id = tenants.id \
                     AND users.id = $1 WHERE tenants.id = $2",
                    [user.into(), request.tenant_id.into()],
                ))
                .await?;
            let row = rows.first().ok_or_else(|| Error::internal("the tenant has no row"))?;
            let (tenant, locale): (String, Option<String>) = (row.get(0)?, row.get(1)?);
            let beside = |name: &str| request.payload.get(name).and_then(Value::as_str).map(str::to_owned);
            let inviter = beside("inviter").unwrap_or_else(|| tenant.clone());
            Ok(Some(Draft {
                to,
                locale: locale.or_else(|| beside("locale")),
                link: Some(format!("/console#invitation={token}")),
                values: vec![("tenant", tenant), ("inviter", inviter)],
            }))
        })
    }
}
