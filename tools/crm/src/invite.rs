//! From a person to a user: inviting, and linking to one who is there already.

use bureau_identity::{Invite, User, invite};
use bureau_kit::prelude::*;

use crate::Party;
use crate::json::AnyJson;
use crate::party::{self, PARTIES};
use crate::person::{Person, shown};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::action("person_invite", "customers.people.invite", invite_person)
            .title("Invite a person to log in")
            .about(
                "Invite a person by e-mail to become a user. Needs a primary_email. Refused while an invitation of that address is \
                 active, and for a person who is linked to a user already.",
            )
            .open_world()
            .irreversible("the invitation is sent by e-mail")
            .synonyms("invitation mail account zaproś osobę zaproszenie konto запросити запрошення користувач"),
        Tool::action("person_link_user", "customers.people.manage", link_user)
            .on(&PARTIES)
            .idempotent()
            .title("Link a person to a user")
            .about(
                "Link a person to the user they became; the person becomes inactive. A person who is linked to another user is \
                 answered unchanged: look at platform_user. Find users with user_list.",
            )
            .synonyms("connect account bind połącz powiąż osobę z użytkownikiem зв'язати особу з користувачем"),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LinkInput {
    /// UUID or number of the person.
    id: Id<Party>,
    /// The user; an active member of the tenant.
    user_id: Id<User>,
}

async fn link_user(ctx: &mut Ctx, input: LinkInput) -> Result<Person> {
    let person = party::fetch(ctx, input.id, "person").await?;
    let key = input.user_id.key();
    // A user of another tenant is unknown here, to the byte; one who was deactivated is known and no member.
    let user = ctx.resolve(User::TABLE, key).await?.ok_or_else(|| Error::not_found("user", key))?;
    let mut sql = ctx.select("1", User::TABLE);
    sql.and_eq("id", user).push(" AND active");
    if !ctx.exists(sql).await? {
        return Err(Error::forbidden(format!(
            "The user {key} is not an active member of this tenant. Activate the user first (user_update), or choose another."
        )));
    }
    if person.id_of("platform_user_id").is_some() {
        return shown(ctx, &person).await;
    }
    let linked = Values::new().with("platform_user_id", user).with("active", false);
    let person = party::change(ctx, &person, linked).await?;
    shown(ctx, &person).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct InviteInput {
    /// UUID or number of the person.
    id: Id<Party>,
    /// Whether the person becomes an administrator.
    #[serde(default)]
    is_admin: bool,
    /// Whether the person becomes staff.
    #[serde(default)]
    is_staff: bool,
    /// Settings of the enrolment, kept with the invitation.
    enrollment_config: Option<AnyJson>,
    /// Where to go after accepting, at most 255 characters.
    #[schemars(length(max = 255))]
    redirect_to: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Invited {
    /// UUID of the person.
    person_id: String,
    /// UUID of the invitation.
    invitation_id: String,
    /// Address the mail goes to.
    invitation_email: String,
    /// Key of the tenant that the person is invited to.
    platform_key: String,
    /// Whether the first log-in accepts it.
    auto_accept: bool,
    /// Whether it can still be accepted.
    active: bool,
    /// Where the person goes after accepting.
    redirect_to: Option<String>,
    /// When it was made.
    created: Instant,
}

async fn invite_person(ctx: &mut Ctx, input: InviteInput) -> Result<Invited> {
    let person = party::fetch(ctx, input.id, "person").await?;
    if let Some(user) = person.id_of("platform_user_id") {
        return Err(Error::impossible_state(format!(
            "This person is linked to the user {user} already and needs no invitation."
        ))
        .with("user_id", user.to_string()));
    }
    // Inferred: whoever was merged away is someone else now.
    if let Some(into) = person.id_of("merged_into_id") {
        return Err(Error::impossible_state(format!("This person was merged into {into}. Invite that one."))
            .with("merged_into", into.to_string()));
    }
    let Ok(email) = Email::parse(person.text("primary_email")) else {
        return Err(Error::validation(format!(
            "{} has no primary_email to send an invitation to. Set it first (person_update).",
            person.text("display_name")
        )));
    };
    let platform_key = platform_key(ctx).await?;
    let wanted = Invite {
        person_id: Some(person.id),
        is_admin: input.is_admin,
        is_staff: input.is_staff,
        enrollment_config: input.enrollment_config.map(|config| config.0),
        redirect_to: input.redirect_to.filter(|target| !target.trim().is_empty()),
        ..Invite::to(email)
    };
    let invitation = invite(ctx, wanted).await.map_err(|error| match error.code() {
        // Documented: who it is about and where, beside the invitation's own id.
        Code::Conflict => error.with("person_id", person.id.to_string()).with("platform_key", platform_key.as_str()),
        _ => error,
    })?;
    Ok(Invited {
        person_id: person.id.to_string(),
        invitation_id: invitation.id.to_string(),
        invitation_email: invitation.get("email")?,
        platform_key,
        auto_accept: invitation.flag("auto_accept"),
        active: invitation.flag("active"),
        redirect_to: invitation.get("redirect_to")?,
        created: invitation.created_at,
    })
}

/// What the tenant is called in addresses.
async fn platform_key(ctx: &mut Ctx) -> Result<String> {
    let rows = ctx.rows(&Sql::with("SELECT slug FROM tenants WHERE id = $1", [ctx.tenant_id().into()])).await?;
    rows.first().ok_or_else(|| Error::internal("the tenant has no row"))?.get(0)
}
